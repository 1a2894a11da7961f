package kube_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// TestRealAPIServer asks a real kube-apiserver over a real etcd what kubetest only pretends: conditional merge patches,
// the refusals of an eviction and which pods meet them, how a pod ends, the deletion of a pod, and the Lease. It runs where
// UPGRADER_ETCD and UPGRADER_APISERVER name the programs.
func TestRealAPIServer(t *testing.T) {
	etcd, server := os.Getenv("UPGRADER_ETCD"), os.Getenv("UPGRADER_APISERVER")
	if etcd == "" || server == "" {
		t.Skip("UPGRADER_ETCD and UPGRADER_APISERVER are not set")
	}
	api := startServer(t, etcd, server)
	c, err := kube.New(api.url, api, kube.Options{RunID: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("cordon", func(t *testing.T) { realCordon(t, api, c) })
	t.Run("evict", func(t *testing.T) { realEvict(t, api, c) })
	t.Run("budgets", func(t *testing.T) { realBudgets(t, api, c) })
	t.Run("ending", func(t *testing.T) { realEnding(t, api, c) })
	t.Run("delete", func(t *testing.T) { realDelete(t, api, c) })
	t.Run("lock", func(t *testing.T) { realLock(t, c) })
}

func realCordon(t *testing.T, api *realServer, c *kube.Client) {
	api.send(t, "POST", "/api/v1/nodes", `{"metadata":{"name":"w1"}}`)
	raced := false
	api.before = func(r *http.Request) { // between our look and our patch the node changes: a conflict
		if r.Method == http.MethodPatch && !raced {
			raced = true
			api.send(t, "PATCH", "/api/v1/nodes/w1", `{"metadata":{"labels":{"zone":"a"}}}`)
		}
	}
	defer func() { api.before = nil }()
	if err := c.Cordon(t.Context(), "w1", "r1/drain"); err != nil || !raced {
		t.Fatalf("cordon: %v, raced %v", err, raced)
	}
	n, err := c.Node(t.Context(), "w1")
	if err != nil || !n.Unschedulable || n.CordonedBy() != "r1/drain" || n.Labels["zone"] != "a" {
		t.Errorf("cordoned: %+v, %v", n, err)
	}
	var foreign *kube.ForeignCordonError
	if err := c.Uncordon(t.Context(), "w1", "r2/x"); !errors.As(err, &foreign) {
		t.Errorf("another run's uncordon: %v", err)
	}
	if err := c.Uncordon(t.Context(), "w1", "r1/uncordon"); err != nil {
		t.Errorf("uncordon: %v", err)
	}
	if n, err := c.Node(t.Context(), "w1"); err != nil || n.Unschedulable || n.CordonedBy() != "" {
		t.Errorf("uncordoned: %+v, %v", n, err)
	}
	if err := c.ReadOnly().Cordon(t.Context(), "w1", "r1/x"); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
}

func realEvict(t *testing.T, api *realServer, c *kube.Client) {
	pods, pdbs := "/api/v1/namespaces/default/pods", "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	api.send(t, "POST", pods, `{"metadata":{"name":"cart","labels":{"app":"cart"}},"spec":{"nodeName":"w1","containers":[{"name":"c","image":"i"}]}}`)
	api.send(t, "PATCH", pods+"/cart/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
	api.send(t, "POST", pdbs, `{"metadata":{"name":"a"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"cart"}}}}`)
	found, err := c.Pods(t.Context(), kube.PodFilter{Node: "w1"})
	if err != nil || len(found) != 1 || !found[0].Ready {
		t.Fatalf("%+v, %v", found, err)
	}
	var blocked *kube.Blocked
	if err := c.Evict(t.Context(), found[0]); !errors.As(err, &blocked) || blocked.Why != "PDB default/a has changed and is not counted yet" {
		t.Errorf("a budget that its controller has not seen: %v", err)
	}
	api.send(t, "PATCH", pdbs+"/a/status", `{"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}`)
	if err := c.Evict(t.Context(), found[0]); !errors.As(err, &blocked) || blocked.Why != "PDB default/a allows 0 (1 healthy, needs 1)" {
		t.Errorf("a budget without room: %v", err)
	}
	api.send(t, "POST", pdbs, `{"metadata":{"name":"b"},"spec":{"minAvailable":0,"selector":{"matchLabels":{"app":"cart"}}}}`)
	if err := c.Evict(t.Context(), found[0]); err == nil || !strings.Contains(err.Error(), "default/a, default/b") {
		t.Errorf("two budgets: %v", err)
	}
	api.send(t, "DELETE", pdbs+"/a", "")
	api.send(t, "DELETE", pdbs+"/b", "")
	other := found[0]
	other.UID = "00000000-0000-0000-0000-000000000000"
	if err := c.Evict(t.Context(), other); err != nil {
		t.Errorf("another pod of that name: %v", err)
	}
	if left, err := c.Pods(t.Context(), kube.PodFilter{Node: "w1"}); err != nil || len(left) != 1 || left[0].Terminating {
		t.Fatalf("it was touched: %+v, %v", left, err)
	}
	if err := c.EvictWithin(t.Context(), found[0], 90*time.Second); err != nil {
		t.Errorf("evict: %v", err)
	}
	left, err := c.Pods(t.Context(), kube.PodFilter{Node: "w1"})
	if err != nil || len(left) != 1 || !left[0].Terminating || time.Since(left[0].TerminatingSince) > time.Minute {
		t.Errorf("after the eviction: %+v, %v", left, err)
	}
}

// realDelete: a budget that keeps a pod does not keep it from being deleted, and another pod of its name is never touched, not even where
// it has come while the request was on its way.
func realDelete(t *testing.T, api *realServer, c *kube.Client) {
	pods, pdbs := "/api/v1/namespaces/default/pods", "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	body := `{"metadata":{"name":"db","labels":{"app":"db"}},"spec":{"nodeName":"w2","containers":[{"name":"c","image":"i"}]}}`
	api.send(t, "POST", pods, body)
	api.send(t, "POST", pdbs, `{"metadata":{"name":"db"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"db"}}}}`)
	first, err := c.Pods(t.Context(), kube.PodFilter{Node: "w2"})
	if err != nil || len(first) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	raced := false
	api.before = func(r *http.Request) {
		if r.Method == http.MethodDelete && !raced {
			raced = true
			api.send(t, "DELETE", pods+"/db", `{"gracePeriodSeconds":0}`)
			api.send(t, "POST", pods, body)
		}
	}
	if err := c.DeleteWithin(t.Context(), first[0], 0); err != nil || !raced {
		t.Errorf("another in the meantime: %v, raced %v", err, raced)
	}
	api.before = nil
	second, err := c.Pods(t.Context(), kube.PodFilter{Node: "w2"})
	if err != nil || len(second) != 1 || second[0].UID == first[0].UID || second[0].Terminating {
		t.Fatalf("it was touched: %+v, %v", second, err)
	}
	api.send(t, "PATCH", pods+"/db/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
	if err := c.Evict(t.Context(), second[0]); err == nil {
		t.Error("its budget does not keep it")
	}
	if err := c.DeleteWithin(t.Context(), second[0], 90*time.Second); err != nil {
		t.Errorf("delete: %v", err)
	}
	if left, err := c.Pods(t.Context(), kube.PodFilter{Node: "w2"}); err != nil || len(left) != 1 || !left[0].Terminating {
		t.Errorf("after the deletion: %+v, %v", left, err)
	}
}

func realLock(t *testing.T, c *kube.Client) {
	first, second := kube.NewLock(c, ann("r1")), kube.NewLock(c, ann("r2"))
	if err := first.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	var held *kube.HeldError
	if err := second.Acquire(t.Context()); !errors.As(err, &held) || held.Who != "ann@bastion" {
		t.Errorf("second: %v", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := second.Acquire(t.Context()); err != nil || second.Epoch() <= first.Epoch() {
		t.Errorf("second: %v, epoch %d after %d", err, second.Epoch(), first.Epoch())
	}
	was, taken, err := first.Holder(t.Context())
	if err != nil || !taken || was.Run != "r2" {
		t.Errorf("holder: %+v, %v, %v", was, taken, err)
	}
	if err := first.Unlock(t.Context(), was, true, func(time.Duration) {}); err != nil {
		t.Errorf("unlock: %v", err)
	}
	uid, err := c.UID(t.Context())
	version, err2 := c.ServerVersion(t.Context())
	if err != nil || err2 != nil || uid == "" || strings.HasPrefix(version, "v") || c.Readyz(t.Context()) != nil {
		t.Errorf("%q %q %v %v", uid, version, err, err2)
	}
}

// realServer is a running API server and the way to it.
type realServer struct {
	url    string
	before func(*http.Request)
}

const realToken = "secret-of-the-test"

func (s *realServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.before != nil {
		s.before(r)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+realToken)
	return (&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}).RoundTrip(r)
}

// send asks for what the server has to do, and returns its answer.
func (s *realServer) send(t *testing.T, method, path, body string) []byte {
	t.Helper()
	code, answer := s.ask(t, method, path, body)
	if code >= 300 {
		t.Fatalf("%s %s: %s", method, path, answer)
	}
	return answer
}

func (s *realServer) ask(t *testing.T, method, path, body string) (code int, answer []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	hook := s.before
	s.before = nil
	res, err := s.RoundTrip(r)
	s.before = hook
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

func startServer(t *testing.T, etcd, server string) *realServer {
	t.Helper()
	dir := t.TempDir()
	client, peer, secure := freePort(t), freePort(t), freePort(t)
	start(t, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	key, tokens := filepath.Join(dir, "sa.key"), filepath.Join(dir, "tokens.csv")
	writeKey(t, key)
	if err := os.WriteFile(tokens, []byte(realToken+",admin,1,system:masters\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, server, "--etcd-servers", client, "--cert-dir", dir, "--bind-address", "127.0.0.1",
		"--secure-port", secure[strings.LastIndex(secure, ":")+1:], "--token-auth-file", tokens,
		"--service-account-issuer", "https://test", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--disable-admission-plugins", "ServiceAccount", "--service-cluster-ip-range", "10.99.0.0/24")
	s := &realServer{url: strings.Replace(secure, "http:", "https:", 1)}
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := kube.New(s.url, s, kube.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Readyz(t.Context()) == nil {
			if _, err := c.UID(t.Context()); err == nil {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the API server does not become ready")
		}
	}
}

func start(t *testing.T, program string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: ...%s", filepath.Base(program), output.Bytes()[max(0, output.Len()-2000):])
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("http://%s", l.Addr())
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
