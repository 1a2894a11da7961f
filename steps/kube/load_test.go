package kube_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: CURRENT
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: prod, context: {cluster: c, user: u}}, {name: test, context: {cluster: gone, user: u}}]
`

// Every way a kubeconfig can be wrong is told with the file, the fault and what to do.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", strings.Replace(kubeconfig, "CURRENT", "prod", 1))
	for _, tt := range []struct {
		name     string
		options  kube.Options
		env      string
		host     string
		mentions []string
	}{
		{"a file", kube.Options{Kubeconfig: good}, "", "https://10.0.0.1:6443", nil},
		{"from the environment", kube.Options{}, good, "https://10.0.0.1:6443", nil},
		{"a missing file", kube.Options{Kubeconfig: filepath.Join(dir, "none")}, "", "", []string{"none", "does not exist", "--kubeconfig"}},
		{"nothing anywhere", kube.Options{}, filepath.Join(dir, "none"), "", []string{"none", "admin.conf"}},
		{"no YAML", kube.Options{Kubeconfig: write("bad", "{")}, "", "", []string{"bad", "kubectl"}},
		{"an unknown context", kube.Options{Kubeconfig: good, Context: "stage"}, "", "", []string{"good", `"stage"`, "prod, test"}},
		{"no current context", kube.Options{Kubeconfig: write("none-current", strings.Replace(kubeconfig, "CURRENT", `""`, 1))}, "", "", []string{"--context", "prod, test"}},
		{"a context without its cluster", kube.Options{Kubeconfig: good, Context: "test"}, "", "", []string{"good", "gone"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HOME", dir)
			t.Setenv("KUBECONFIG", tt.env)
			c, err := kube.Load(tt.options)
			if tt.host != "" {
				if err != nil || c.Host() != tt.host {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, word := range tt.mentions {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not mention %q", err, word)
				}
			}
		})
	}
}

// A credential plugin that is not installed is told with the words of the kubeconfig on how to get it, also where another
// program is to run it.
func TestAPluginThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := strings.NewReplacer("CURRENT", "prod", "{token: t}", `{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, installHint: "get it from the shop", interactiveMode: Never}}`).Replace(kubeconfig)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kube.Load(kube.Options{Kubeconfig: path, PluginRunner: func(time.Duration) []string { return []string{"true"} }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Nodes(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-plugin not found") || !strings.Contains(err.Error(), "get it from the shop") {
		t.Errorf("got %v", err)
	}
}
