package kube_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/kube"
)

// An answer that sends a client elsewhere is not followed: the credentials are for the API server, and elsewhere may be
// anybody, over plain http.
func TestCredentialsGoNowhereElse(t *testing.T) {
	var heard []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard = append(heard, r.Method+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(api.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {insecure-skip-tls-verify: true, server: "`+api.URL+`"}}],
contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: hunter2}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kube.Load(kube.Options{Kubeconfig: file})
	if err != nil {
		t.Fatal(err)
	}
	locked, err := c.Under(kube.NewLock(c, kube.Identity{}))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*kube.Client{"": c, "that only reads": c.ReadOnly(), "under a lock": locked} {
		_, err := c.Node(t.Context(), "w1")
		if err == nil || !strings.Contains(err.Error(), "elsewhere") || len(heard) > 0 {
			t.Errorf("client %s: %v, elsewhere came %q", name, err, heard)
		}
	}
}
