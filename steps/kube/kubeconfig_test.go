package kube_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// A fakeAPI is an API server on TLS, below a prefix, which remembers who asked and how.
type fakeAPI struct {
	*httptest.Server
	prefix string
	check  func(r *http.Request) string // what is wrong with a request

	mu    sync.Mutex
	wrong map[string]bool
}

// newFakeAPI serves a cluster of one node.
func newFakeAPI(t *testing.T, prefix string, check func(*http.Request) string) *fakeAPI {
	t.Helper()
	cluster := kubetest.New()
	cluster.SetNode(kube.Node{Name: "w1", Ready: true})
	f := &fakeAPI{prefix: prefix, check: check, wrong: map[string]bool{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, below := strings.CutPrefix(r.URL.Path, prefix)
		why := check(r)
		if !below || strings.Contains(path, "//") {
			why = "the path " + r.URL.Path
		}
		if why != "" {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.wrong[r.Method+" "+r.URL.Path+": "+why] = true
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if path == "/api" {
			_, _ = io.WriteString(w, `{"versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"10.0.0.11:6443"}]}`)
			return
		}
		r = r.Clone(r.Context())
		r.URL.Path = path
		cluster.ServeHTTP(w, r)
	}))
	f.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// authorityOf is the certificate that a server's is signed by, which is itself.
func authorityOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func (f *fakeAPI) authority() string { return string(authorityOf(f.Server)) }

// try does with a client what the program does: it reads, reaches the API anew, and writes under a lock.
func (f *fakeAPI) try(t *testing.T, o kube.Options) {
	t.Helper()
	c, err := kube.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Node(t.Context(), "w1"); err != nil {
		t.Errorf("reading: %v", err)
	}
	if at, err := c.Reach(t.Context()); err != nil || at != "10.0.0.11:6443" {
		t.Errorf("reaching: %q, %v", at, err)
	}
	lock := kube.NewLock(c, kube.Identity{Run: "r1"})
	if err := lock.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	locked, err := c.Under(lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := locked.Cordon(t.Context(), "w1", "r1/drain"); err != nil {
		t.Errorf("writing: %v", err)
	}
	if err := locked.Uncordon(t.Context(), "w1", "r1/drain"); err != nil {
		t.Errorf("writing: %v", err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Errorf("releasing: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, wrong := range slices.Sorted(maps.Keys(f.wrong)) {
		t.Error(wrong)
	}
}

// clientCertificate is one in somebody's name, and its key.
func clientCertificate(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, wanted, wanted, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}))
}

// directory has these files, and is given as its path.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// configOf is a kubeconfig of one cluster and one user, in YAML's flow style.
func configOf(server, cluster, user string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: %q, %s}}],
contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {%s}}]}`, server, cluster, user)
}

// bearer wants a token.
func bearer(token string) func(*http.Request) string {
	return func(r *http.Request) string {
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			return "it is authorized by " + got
		}
		return ""
	}
}

// A kubeconfig that kubectl takes is taken: wherever the API is, however it proves who it is, and whoever asks. Reading,
// new connections to it and writes under a lock go the same way.
func TestEveryKubeconfigThatKubectlTakes(t *testing.T) {
	other, _ := clientCertificate(t, "another authority")
	mine, key := clientCertificate(t, "ann")
	in64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	byCertificate := func(r *http.Request) string {
		if len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].Subject.CommonName != "ann" {
			return "it has no certificate of ann"
		}
		return ""
	}
	const skip, token = "insecure-skip-tls-verify: true", "token: t"
	for name, tt := range map[string]struct {
		prefix, tail  string // of the address: what is served below, and what the kubeconfig has behind that
		cluster, user string
		check         func(*http.Request) string
	}{
		"an address":                     {"", "", skip, token, bearer("t")},
		"with a slash":                   {"", "/", skip, token, bearer("t")},
		"with a path":                    {"/k8s/clusters/c-abc", "", skip, token, bearer("t")},
		"with a path and a slash":        {"/k8s/clusters/c-abc", "/", skip, token, bearer("t")},
		"with a query, which is dropped": {"/k8s/clusters/c-abc", "?x=y", skip, token, bearer("t")},
		"several authorities":            {"", "", "certificate-authority-data: " + in64(other+"AUTHORITY"), token, bearer("t")},
		"an authority in a file":         {"", "", "certificate-authority: ca.pem", token, bearer("t")},
		"another name": {"", "", "certificate-authority: ca.pem, tls-server-name: example.com", token, func(r *http.Request) string {
			if r.TLS.ServerName != "example.com" {
				return "it is called " + r.TLS.ServerName
			}
			return ""
		}},
		"a token in a file": {"", "", skip, "tokenFile: token", bearer("from-a-file")},
		"a password": {"", "", skip, "username: ann, password: secret", func(r *http.Request) string {
			if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
				return "it is authorized by " + r.Header.Get("Authorization")
			}
			return ""
		}},
		"a certificate":          {"", "", skip, "client-certificate-data: " + in64(mine) + ", client-key-data: " + in64(key), byCertificate},
		"a certificate in files": {"", "", "certificate-authority: ./ca.pem", "client-certificate: mine.pem, client-key: key.pem", byCertificate},
		"somebody else's name": {"", "", skip, token + `, as: ann, as-uid: "7", as-groups: [a, b], as-user-extra: {reason: [why]}`, func(r *http.Request) string {
			got := fmt.Sprint(r.Header.Get("Impersonate-User"), r.Header.Get("Impersonate-Uid"), r.Header["Impersonate-Group"], r.Header["Impersonate-Extra-Reason"])
			if got != "ann7[a b] [why]" {
				return "it is in the name of " + got
			}
			return ""
		}},
		"a plugin that is told of the cluster": {"", "", "certificate-authority: ca.pem", fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1beta1, provideClusterInfo: true, command: sh, args: [-c, %q]}",
			`case $KUBERNETES_EXEC_INFO in *certificate-authority-data*) `+strings.ReplaceAll(gives("t"), "/v1\"", "/v1beta1\"")+`;; esac`), bearer("t")},
		"a plugin that gives a certificate": {"", "", skip, fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: sh, args: [-c, %q], env: [{name: ANSWER, value: %q}]}",
			`printf %s "$ANSWER"`, fmt.Sprintf(`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"clientCertificateData":%q,"clientKeyData":%q}}`, mine, key)), byCertificate},
		"no compression": {"", "", skip + ", disable-compression: true", token, bearer("t")},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t, tt.prefix, tt.check)
			cluster := strings.ReplaceAll(tt.cluster, in64(other+"AUTHORITY"), in64(other+api.authority()))
			dir := directory(t, map[string]string{
				"config": configOf(api.URL+tt.prefix+tt.tail, cluster, tt.user),
				"ca.pem": api.authority(), "token": "from-a-file\n", "mine.pem": mine, "key.pem": key,
			})
			api.try(t, kube.Options{Kubeconfig: filepath.Join(dir, "config")})
		})
	}
}

// Several files are merged, and one that is missing is nobody's business, as with kubectl.
func TestSeveralKubeconfigs(t *testing.T) {
	api := newFakeAPI(t, "", bearer("t"))
	dir := directory(t, map[string]string{
		"a": `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {certificate-authority: ca.pem, server: "` + api.URL + `"}}]}`,
		"b": `{apiVersion: v1, kind: Config, current-context: other, contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: t}}]}`, "ca.pem": api.authority(),
	})
	t.Setenv("KUBECONFIG", strings.Join([]string{filepath.Join(dir, "missing"), filepath.Join(dir, "a"), filepath.Join(dir, "b")}, string(os.PathListSeparator)))
	api.try(t, kube.Options{})
}

// A certificate that somebody renews in its file is used on the next connection.
func TestARenewedCertificate(t *testing.T) {
	var who []string
	api := newFakeAPI(t, "", func(r *http.Request) string {
		if r.URL.Path == "/api" {
			who = append(who, r.TLS.PeerCertificates[0].Subject.CommonName)
		}
		return ""
	})
	before, keyBefore := clientCertificate(t, "before")
	after, keyAfter := clientCertificate(t, "after")
	dir := directory(t, map[string]string{"config": configOf(api.URL, "insecure-skip-tls-verify: true", "client-certificate: c.pem, client-key: k.pem"), "c.pem": before, "k.pem": keyBefore})
	c, err := kube.Load(kube.Options{Kubeconfig: filepath.Join(dir, "config")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Reach(t.Context()); err != nil {
			t.Error(err)
		}
		for name, text := range map[string]string{"c.pem": after, "k.pem": keyAfter} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fmt.Sprint(who) != "[before after]" {
		t.Errorf("it was %v", who)
	}
}
