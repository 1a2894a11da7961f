//go:build linux

package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copiedSource is the lab's sources in a folder that the test may change.
func copiedSource(t *testing.T) source {
	t.Helper()
	lab := filepath.Join(t.TempDir(), "lab")
	for _, dir := range []string{"modules", "pod"} {
		if err := os.CopyFS(filepath.Join(lab, dir), os.DirFS(filepath.Join("..", dir))); err != nil {
			t.Fatal(err)
		}
	}
	return source{root: lab, lab: lab, goVersion: "go1.26.8"}
}

func keys(t *testing.T, src source) map[string]string {
	t.Helper()
	parts, err := allParts(Cache{"/c"}, src, Releases())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range parts {
		if all[p.name] != "" {
			t.Errorf("%s is made twice", p.name)
		}
		all[p.name] = p.key
	}
	return all
}

// A change leads to what is made from it being made anew, and nothing else.
func TestChangeRebuildsWhatIsMadeFromIt(t *testing.T) {
	for change, want := range map[string]string{
		"modules/kubernetes-1.28.15/go.sum": "images 1.28.15, kubernetes 1.28.15, packages 1.28.15",
		"modules/etcd-3.5.16/go.mod":        "etcd 3.5.16, images 1.29.15",
		"modules/coredns-1.10.1/go.mod":     "coredns 1.10.1, images 1.27.3, images 1.28.15",
		"modules/crictl/main.go":            "crictl, packages 1.27.3, packages 1.28.15, packages 1.29.15",
		"pod/serve.go":                      "images of the lab, pod",
		"pod/pod_test.go":                   "",
	} {
		src := copiedSource(t)
		before := keys(t, src)
		path := filepath.Join(src.lab, change)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		var changed []string
		for name, key := range keys(t, src) {
			if before[name] != key {
				changed = append(changed, name)
			}
		}
		slices.Sort(changed)
		if got := strings.Join(changed, ", "); got != want {
			t.Errorf("a change of %s rebuilds %s; want %s", change, got, want)
		}
	}
}

func TestOutsideACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := findSource(t.Context())
	if err == nil || !strings.Contains(err.Error(), "run it inside a checkout of upgrader") {
		t.Errorf("got %v", err)
	}
}
