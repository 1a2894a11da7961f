package kube_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"upgrader.dev/upgrader/steps/kube"
)

// A relay is a proxy whose every connection leads to one server. It speaks both of HTTP's CONNECT and SOCKS5.
type relay struct {
	net.Listener
	to string

	mu    sync.Mutex
	asked []string // the first line, or byte, of each
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	r := &relay{Listener: listener, to: to}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *relay) serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		return
	}
	if buf[0] == 5 { // RFC 1928: the methods, and then where to
		_, _ = conn.Write([]byte{5, 0})
		_, _ = conn.Read(buf)
		r.note("socks5")
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	} else {
		r.note(strings.SplitN(string(buf[:n]), " HTTP", 2)[0])
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	}
	there, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer there.Close()
	go func() { _, _ = io.Copy(there, conn) }()
	_, _ = io.Copy(conn, there)
}

func (r *relay) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, what)
}

// every says whether each connection, of at least three, was asked for in these words.
func (r *relay) every(t *testing.T, words string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.asked) < 3 || slices.ContainsFunc(r.asked, func(a string) bool { return a != words }) {
		t.Errorf("the proxy was asked for %q", r.asked)
	}
}

// The proxy of a kubeconfig is used by everything: reads, new connections and writes under a lock.
func TestTheProxyOfAKubeconfig(t *testing.T) {
	for scheme, words := range map[string]string{"http": "CONNECT example.com:6443", "socks5": "socks5"} {
		t.Run(scheme, func(t *testing.T) {
			api := newFakeAPI(t, "", bearer("t"))
			proxy := newRelay(t, api.Listener.Addr().String())
			dir := directory(t, map[string]string{
				"config": configOf("https://example.com:6443", "certificate-authority: ca.pem, proxy-url: "+scheme+"://"+proxy.Addr().String(), "token: t"), "ca.pem": api.authority(),
			})
			api.try(t, kube.Options{Kubeconfig: filepath.Join(dir, "config")})
			proxy.every(t, words)
		})
	}
}

// The proxy of the environment is used by everything. A process asks its environment once, so this one is another.
func TestTheProxyOfTheEnvironment(t *testing.T) {
	const child = "UPGRADER_TEST_BEHIND_A_PROXY"
	api := newFakeAPI(t, "", bearer("t"))
	if os.Getenv(child) != "" {
		dir := directory(t, map[string]string{"config": configOf("https://example.com:6443", "insecure-skip-tls-verify: true", "token: t")})
		api.try(t, kube.Options{Kubeconfig: filepath.Join(dir, "config")})
		return
	}
	proxy := newRelay(t, api.Listener.Addr().String())
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	again.Env = append(os.Environ(), child+"=yes", "HTTPS_PROXY=http://"+proxy.Addr().String(), "NO_PROXY=")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	proxy.every(t, "CONNECT example.com:6443")
}
