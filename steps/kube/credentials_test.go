package kube_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// plugin is a kubeconfig whose user is a credential plugin: a script of the shell.
func plugin(t *testing.T, server, script string) string {
	t.Helper()
	dir := directory(t, map[string]string{
		"config": configOf(server, "insecure-skip-tls-verify: true", "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: ./log-in}"),
	})
	if err := os.WriteFile(filepath.Join(dir, "log-in"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "config")
}

// gives has a plugin print a token.
func gives(token string) string {
	return `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"` + token + `"}}'` + "\n"
}

// What a credential plugin takes is nobody's time: not that of reads, which may take ten seconds, and not that of a lock whose
// requests have much less of it. The plugin is run once for all who wait, and who waits is told for what.
func TestASlowCredentialPlugin(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, "", bearer("slow"))
	var mu sync.Mutex
	var told []string
	ran := filepath.Join(t.TempDir(), "ran")
	c, err := kube.Load(kube.Options{
		Kubeconfig: plugin(t, api.URL, "echo ran >>"+ran+"\nsleep 11\n"+gives("slow")),
		Tell: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	lock := kube.NewLock(c, kube.Identity{Run: "r1"})
	lock.Hurry(100 * time.Millisecond) // half a second for one renewal, two for trust
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := c.Node(t.Context(), "w1"); err != nil {
				t.Error(err)
			}
		})
	}
	if err := lock.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	locked, err := c.Under(lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := locked.Cordon(t.Context(), "w1", "r1/drain"); err != nil {
		t.Error(err)
	}
	all.Wait()
	if data, err := os.ReadFile(ran); err != nil || string(data) != "ran\n" {
		t.Errorf("the plugin was run: %q, %v", data, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 || !strings.Contains(told[0], "waiting for the credential plugin ") || !strings.Contains(told[0], "/log-in of the kubeconfig, for 1m0s at most") {
		t.Errorf("it was told %q", told)
	}
}

// A plugin that gives nothing is asked once by all who need it, and the error says whose it was and what to do.
func TestAPluginThatGivesNothing(t *testing.T) {
	api := newFakeAPI(t, "", bearer("none"))
	ran := filepath.Join(t.TempDir(), "ran")
	c, err := kube.Load(kube.Options{Kubeconfig: plugin(t, api.URL, "echo ran >>"+ran+"\nsleep 1\nexit 7\n")})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			_, err := c.Node(t.Context(), "w1")
			for _, word := range []string{"reading node w1: no credentials from the credential plugin ", "/log-in of the kubeconfig", "exit code 7", "kubectl auth whoami", "upgrader resume"} {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not mention %q", err, word)
				}
			}
		})
	}
	all.Wait()
	if data, err := os.ReadFile(ran); err != nil || string(data) != "ran\n" {
		t.Errorf("the plugin was run: %q, %v", data, err)
	}
}

// How long a plugin may take depends on whether a person may have to answer it.
func TestHowLongAPluginMayTake(t *testing.T) {
	for mode, want := range map[string][2]time.Duration{ // without a terminal, and at one
		"Never": {time.Minute, time.Minute}, "IfAvailable": {time.Minute, 5 * time.Minute}, "Always": {time.Minute, 5 * time.Minute},
	} {
		dir := directory(t, map[string]string{
			"config": configOf("https://api.test", "insecure-skip-tls-verify: true", "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: "+mode+", command: sh}"),
		})
		for i, terminal := range []bool{false, true} {
			var got time.Duration
			_, err := kube.Load(kube.Options{Kubeconfig: filepath.Join(dir, "config"), AtTerminal: terminal, PluginRunner: func(within time.Duration) []string {
				got = within
				return []string{"true"}
			}})
			if err != nil || got != want[i] {
				t.Errorf("%s, at a terminal %v: %v, %v", mode, terminal, got, err)
			}
		}
	}
}

// webToken is a JSON Web Token that ends then. Nobody has signed it.
func webToken(ends time.Time) string {
	part := func(v any) string {
		data, _ := json.Marshal(v) // maps of numbers and words
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(map[string]string{"alg": "none"}) + "." + part(map[string]any{"sub": "änn?>", "exp": ends.Unix()}) + ".c2lnbmVk"
}

// An issuer gives a new identity token, and a new refresh token, for the refresh token that is in force, and for no other.
type issuer struct {
	*httptest.Server
	gives string

	mu    sync.Mutex
	force string
	given int
}

func newIssuer(t *testing.T, gives, force string) *issuer {
	t.Helper()
	i := &issuer{gives: gives, force: force}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"token_endpoint":%q}`, i.URL+"/token")
		case r.FormValue("refresh_token") != i.force:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"it was used before"}`)
		default:
			i.given++
			i.force = fmt.Sprintf("refresh-%d", i.given)
			fmt.Fprintf(w, `{"access_token":"a","token_type":"bearer","id_token":%q,"refresh_token":%q}`, i.gives, i.force)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// provider is a user whose identity token ended an hour ago.
func (i *issuer) provider(refresh string) string {
	return fmt.Sprintf(`auth-provider: {name: oidc, config: {client-id: kubernetes, id-token: %q, refresh-token: %s, idp-issuer-url: %q, idp-certificate-authority-data: %s}}`,
		webToken(time.Now().Add(-time.Hour)), refresh, i.URL, base64.StdEncoding.EncodeToString(authorityOf(i.Server)))
}

func mayPass(err error) bool { var t *engine.TransientError; return errors.As(err, &t) }

// A user that is an auth-provider oidc has its token renewed, and what kubectl needs to go on stands in the kubeconfig
// afterwards, which stays private.
func TestAnOIDCProvider(t *testing.T) {
	fresh := webToken(time.Now().Add(time.Hour))
	api := newFakeAPI(t, "", bearer(fresh))
	i := newIssuer(t, fresh, "first")
	dir := directory(t, map[string]string{
		"config": configOf(api.URL, "insecure-skip-tls-verify: true", i.provider("first")),
	})
	path := filepath.Join(dir, "config")
	api.try(t, kube.Options{Kubeconfig: path})
	data, err := os.ReadFile(path)
	if err != nil || i.given != 1 || !strings.Contains(string(data), fresh) || !strings.Contains(string(data), "refresh-1") {
		t.Errorf("%d tokens were given, and the kubeconfig is\n%s%v", i.given, data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	api.try(t, kube.Options{Kubeconfig: path}) // what was written back is taken again
}

// A provider that does not take the refresh token any more ends it, in words; one that is away is waited for.
func TestAnOIDCProviderThatGivesNothing(t *testing.T) {
	api := newFakeAPI(t, "", bearer("none"))
	i := newIssuer(t, "", "first")
	client := func(user string) *kube.Client {
		dir := directory(t, map[string]string{"config": configOf(api.URL, "insecure-skip-tls-verify: true", user)})
		c, err := kube.Load(kube.Options{Kubeconfig: filepath.Join(dir, "config")})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	err := client(i.provider("used")).Login(t.Context())
	for _, word := range []string{"no credentials from the auth-provider oidc of the kubeconfig", "invalid_grant", "log in again", "upgrader resume"} {
		if err == nil || mayPass(err) || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not mention %q", err, word)
		}
	}
	away := client(strings.ReplaceAll(i.provider("first"), "client-id: kubernetes", "client-id: other")) // client-go keeps one for each client-id
	i.Close()
	if err := away.Login(t.Context()); !mayPass(err) || !strings.Contains(err.Error(), "the auth-provider oidc of the kubeconfig") {
		t.Errorf("one that is away: %v", err)
	}
}

// What Kubernetes has removed from its clients is told with what has come in its place.
func TestRemovedProviders(t *testing.T) {
	for user, words := range map[string][2]string{
		"auth-provider: {name: gcp}":       {"auth-provider gcp was removed", "gke-gcloud-auth-plugin"},
		"auth-provider: {name: azure}":     {"auth-provider azure was removed", "kubelogin convert-kubeconfig"},
		"auth-provider: {name: openstack}": {"auth-provider openstack is none", "credential plugin"},
		"exec: {apiVersion: client.authentication.k8s.io/v1alpha1, interactiveMode: Never, command: aws}": {"client.authentication.k8s.io/v1alpha1, which was removed", "aws eks update-kubeconfig"},
	} {
		dir := directory(t, map[string]string{"config": configOf("https://api.test", "insecure-skip-tls-verify: true", user)})
		_, err := kube.Load(kube.Options{Kubeconfig: filepath.Join(dir, "config")})
		if err == nil || !strings.Contains(err.Error(), words[0]) || !strings.Contains(err.Error(), words[1]) {
			t.Errorf("%s: %v", user, err)
		}
	}
}
