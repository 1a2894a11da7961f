package kube_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// What is said of a 401 depends on what the kubeconfig proves with, and on whether that says itself that it has ended.
func TestCredentialsThatAreNotAccepted(t *testing.T) {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`))
	}))
	t.Cleanup(api.Close)
	ended, later := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	mine, key := clientCertificate(t, "ann")
	in64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, tt := range map[string]struct {
		user  string
		words []string
		not   string
	}{
		"a token that ended":   {"token: " + webToken(ended), []string{"the token of the kubeconfig expired at " + ended.Format("15:04"), "get a new one", "upgrader resume"}, "kubeadm certs"},
		"a token that did not": {"token: " + webToken(later), []string{"the token of the kubeconfig is not accepted", "get a new one"}, "expired"},
		"any other token":      {"token: abc.def", []string{"the token of the kubeconfig is not accepted"}, "expired"},
		"a token in a file":    {"tokenFile: token", []string{"the token of the kubeconfig expired at " + ended.Format("15:04")}, "kubeadm certs"},
		"a certificate":        {"client-certificate-data: " + in64(mine) + ", client-key-data: " + in64(key), []string{"the certificate of the kubeconfig is not accepted", "kubeadm certs check-expiration", "admin.conf"}, "expired at"},
		"a password":           {"username: a, password: b", []string{"the password of the kubeconfig is not accepted", "1.19"}, "kubeadm certs"},
		"a plugin":             {fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, %q]}", gives("t")), []string{"what the credential plugin sh of the kubeconfig gives is not accepted", "log in"}, "kubeadm certs"},
		"nothing":              {"", []string{"the user of the kubeconfig is not accepted", "put a token"}, "kubeadm certs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits a moment for a server that may have just started
			dir := directory(t, map[string]string{"config": configOf(api.URL, "insecure-skip-tls-verify: true", tt.user), "token": webToken(ended)})
			c, err := kube.Load(kube.Options{Kubeconfig: filepath.Join(dir, "config")})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Node(t.Context(), "w1")
			for _, word := range tt.words {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not mention %q", err, word)
				}
			}
			if err == nil || strings.Contains(err.Error(), tt.not) {
				t.Errorf("%v mentions %q", err, tt.not)
			}
		})
	}
}

// When credentials end is known of a web token and of a certificate, and of nothing that only looks like one.
func TestWhenCredentialsEnd(t *testing.T) {
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	mine, key := clientCertificate(t, "ann")
	for name, tt := range map[string]struct {
		user            string
		ends, renewable bool
	}{
		"a web token":            {"token: " + webToken(ends), true, false},
		"in a file":              {"tokenFile: token", true, true},
		"no token of the web":    {"token: a.b", false, false},
		"nothing but its shape":  {"token: a.b.c", false, false},
		"no claims in it":        {"token: e30.bm90IEpTT04.c", false, false},
		"without an end":         {"token: e30.e30.c", false, false},
		"a certificate in files": {"client-certificate: c.pem, client-key: k.pem", true, true},
		"a plugin":               {"exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh}", false, false},
	} {
		dir := directory(t, map[string]string{"config": configOf("https://api.test", "insecure-skip-tls-verify: true", tt.user), "token": webToken(ends) + "\n", "c.pem": mine, "k.pem": key})
		c, err := kube.Load(kube.Options{Kubeconfig: filepath.Join(dir, "config")})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := c.Credentials()
		if got.Ends.IsZero() == tt.ends || tt.ends && got.Ends.Sub(ends).Abs() > time.Minute || got.Renewable != tt.renewable || got.Advice == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
