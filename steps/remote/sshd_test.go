package remote

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// A door is an SSH server of the test: OpenSSH's own, or the small one in this package.
type door struct {
	addr       string // host:port
	user       string
	identity   string // private key file
	knownHosts string // file
	dir        string // for anything else
	pid        int    // of OpenSSH's sshd
}

// inventory reaches this door and reads no ssh configuration.
func (d door) inventory() *Inventory {
	host, port, _ := net.SplitHostPort(d.addr)
	n, _ := strconv.Atoi(port)
	return &Inventory{
		Hosts: []Machine{{Name: "w1", Address: host, Port: n}},
		SSH:   SSH{User: d.user, IdentityFile: d.identity, KnownHosts: d.knownHosts, Config: "none"},
	}
}

// newKey makes a key pair: the signer, and the private key as a file.
func newKey(t testing.TB, path string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(pem.EncodeToMemory(block)))
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func authorized(s ssh.Signer) string { return string(ssh.MarshalAuthorizedKey(s.PublicKey())) }

// hostDir is a directory for what a host keeps. Controllers that lost the race for a ticket leave processes there that wait
// for the job to end before they find its claim, so it may be written to for a moment after a test.
func hostDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "upgrader-host-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventually(t, "the host's files are removed", func() bool { return os.RemoveAll(dir) == nil }) })
	return dir
}

// startOpenSSH runs OpenSSH's sshd on a loopback port, for the user of the test.
func startOpenSSH(t testing.TB, more string) door {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Skip("this test wants OpenSSH's sshd: apt-get install openssh-server")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's privilege separation directory
			t.Fatal(err)
		}
	}
	dir := hostDir(t)
	d := door{user: me.Username, dir: dir, identity: filepath.Join(dir, "id"), knownHosts: filepath.Join(dir, "known_hosts")}
	key, hostKey := newKey(t, d.identity), newKey(t, filepath.Join(dir, "host_key"))
	write(t, filepath.Join(dir, "authorized_keys"), authorized(key))
	d.addr = freeAddress(t)
	ip, port, _ := net.SplitHostPort(d.addr)
	write(t, d.knownHosts, knownhosts.Line([]string{d.addr}, hostKey.PublicKey())+"\n")
	config := fmt.Sprintf("Port %s\nListenAddress %s\nHostKey %s/host_key\nAuthorizedKeysFile %s/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\n"+
		"PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv HOME=%s\n%s\n", port, ip, dir, dir, dir, more)
	write(t, filepath.Join(dir, "sshd_config"), config)
	var log bytes.Buffer
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", d.addr)
		if err == nil {
			_ = c.Close()
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v\n%s", err, log.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// freeAddress is one where nobody listens. On Linux the whole of 127/8 is this machine's, so that each test process has an
// address of its own and no other takes the port in the meantime.
func freeAddress(t testing.TB) string {
	t.Helper()
	ip := "127.0.0.1"
	if pid := os.Getpid(); runtime.GOOS == "linux" {
		ip = net.IPv4(127, byte(1+pid>>16), byte(pid>>8), byte(pid)).String()
	}
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
