package http

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// outcome is one word for what Observe said, and why.
func outcome(t *testing.T, c *check) string {
	t.Helper()
	changes, err := c.Observe(t.Context(), engine.Scene{})
	if len(changes) > 0 {
		t.Errorf("a check wants to change something: %+v", changes)
	}
	if not, ok := errors.AsType[*engine.NotYetError](err); ok {
		return "not yet: " + not.Why
	}
	if no, ok := errors.AsType[*engine.RefusedError](err); ok {
		return "refused: " + no.Why
	}
	if err != nil {
		return "failed: " + err.Error()
	}
	return "ok"
}

func TestCheck(t *testing.T) {
	well := func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "all is well") }
	elsewhere := httptest.NewServer(http.HandlerFunc(well))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", well)
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	mux.Handle("/moved", http.RedirectHandler("/healthz", http.StatusFound))
	mux.Handle("/away", http.RedirectHandler(elsewhere.URL, http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	s := httptest.NewServer(mux)
	defer s.Close()
	tests := []struct {
		path, contains string
		status         int
		want           string
	}{
		{"/healthz", "", 200, "ok"},
		{"/healthz", "is well", 200, "ok"},
		{"/healthz", "on fire", 200, `not yet: URL/healthz answers 200 OK, but not with "on fire"`},
		{"/healthz", "", 204, "not yet: URL/healthz answers 200 OK, want 204"},
		{"/broken", "", 200, "not yet: URL/broken answers 503 Service Unavailable, want 200"},
		{"/broken", "", 503, "ok"},
		{"/moved", "is well", 200, "ok"},
		{"/away", "", 200, "not yet: URL/away answers 302 Found, want 200"},
		{"/round", "", 200, "not yet: URL/round answers 302 Found, want 200"},
	}
	for _, tt := range tests {
		got := outcome(t, &check{URL: s.URL + tt.path, Contains: tt.contains, Status: tt.status, Timeout: time.Minute})
		if got = strings.ReplaceAll(got, s.URL, "URL"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.path, got, tt.want)
		}
	}
	s.Close()
	if got := outcome(t, &check{URL: s.URL, Status: 200, Timeout: time.Minute}); !strings.Contains(got, "not yet: "+s.URL+" does not answer: ") {
		t.Error(got)
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = nil
	defer s.Close()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.pem"), filepath.Join(dir, "bad.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if os.WriteFile(good, block, 0o600) != nil || os.WriteFile(bad, []byte("x"), 0o600) != nil {
		t.Fatal("cannot write")
	}
	for bundle, want := range map[string]string{
		"":                         "refused: the certificate of " + s.URL + " does not verify: ",
		good:                       "ok",
		bad:                        "failed: caBundle " + bad + " holds no certificate in PEM",
		filepath.Join(dir, "gone"): "failed: reading caBundle: ",
	} {
		if got := outcome(t, &check{URL: s.URL, Status: 200, Timeout: time.Minute, CABundle: bundle}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", bundle, got, want)
		}
	}
}

func TestTimeout(t *testing.T) {
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer s.Close()
	defer close(end)
	got := outcome(t, &check{URL: s.URL, Status: 200, Timeout: time.Millisecond})
	if got != "not yet: "+s.URL+" does not answer: context deadline exceeded" {
		t.Error(got)
	}
}

func TestValidate(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://example.org/healthz": true, "http://[::1]:80": true, "example.org": false, "ftp://example.org": false,
		"https://u:p@example.org": false, "https://": false,
	} {
		if err := (&check{URL: address, Status: 200, Timeout: 1}).Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	if (&check{URL: "http://x", Status: 20, Timeout: 1}).Validate() == nil || (&check{URL: "http://x", Status: 200}).Validate() == nil {
		t.Error("a strange status or no timeout is allowed")
	}
}
