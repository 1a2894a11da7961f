package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "upgrader.dev/upgrader/"

// layers is the import rule: what each package of this module may import beside the standard library. A path ending in
// /... means everything below. The first row that fits a package counts.
func layers() []struct{ pkg, may string } {
	// What families may lean on. Never each other.
	const ground = " engine engine/document engine/printable steps/facts steps/finding steps/inquiry steps/skew steps/eviction steps/remote steps/kube steps/census steps/knowledge steps/corefile steps/redact "
	return []struct{ pkg, may string }{
		{"engine", "engine/journal engine/printable"},
		{"engine/private", ""},
		{"engine/journal", "engine/private golang.org/x/sys/unix"},
		{"engine/document", "gopkg.in/yaml.v3 github.com/hashicorp/go-multierror"},
		{"engine/plan", "engine engine/document cel.dev/cel-go/... google.golang.org/protobuf/... github.com/hashicorp/go-multierror"},
		{"engine/printable/...", ""},
		{"engine/enginetest", "engine engine/document"},
		{"engine/...", "engine engine/journal"},

		{"plans", ""},
		{"schemas", ""},

		{"steps", "engine steps/..."},
		{"steps/facts", ""},
		{"steps/redact", ""},
		{"steps/skew", "github.com/Masterminds/semver/v3"},
		{"steps/remote", "engine engine/document engine/printable engine/private steps/redact golang.org/x/crypto/... golang.org/x/sys/unix github.com/skeema/knownhosts github.com/hashicorp/go-multierror"},
		{"steps/remote/remotetest", "engine steps/remote"},
		{"steps/kube", "engine engine/printable steps/redact k8s.io/... golang.org/x/sys/unix"},
		{"steps/kube/kubetest", "engine steps/kube k8s.io/..."},
		{"steps/finding", "engine"},
		{"steps/knowledge", "engine/document"},
		{"steps/corefile", "github.com/coredns/corefile-migration/..."},
		{"steps/eviction", "engine steps/kube"},
		{"steps/forecast", "steps/eviction steps/finding steps/kube"},
		{"steps/inquiry", "engine/printable steps/remote"},
		{"steps/inquiry/inquirytest", "steps/remote"},
		{"steps/survey", "engine/printable steps/census steps/inquiry steps/kube steps/remote"},
		// Above the families, as the catalog is: it judges what their eyes see.
		{"steps/preflight", ground + "steps/etcd steps/forecast steps/packages steps/survey"},
		{"steps/doctor", ground + "steps/etcd steps/preflight steps/survey"},
		{"steps/sandbox/...", "steps/sandbox/... golang.org/x/crypto/... k8s.io/api/... k8s.io/apimachinery/... golang.org/x/sys/unix mvdan.cc/sh/v3/..."},
		{"steps/...", ground},

		{"cmd/upgrader", "engine engine/... steps steps/approval steps/doctor steps/finding steps/identity steps/kube steps/preflight steps/facts steps/redact steps/remote steps/sandbox steps/survey plans schemas " +
			"github.com/spf13/cobra charm.land/lipgloss/v2 github.com/hashicorp/go-multierror golang.org/x/term golang.org/x/sys/unix"},

		// The lab is a customer of the program like any other: it shares no code with what it tests.
		{"examples/lab", "examples/lab/build examples/lab/host examples/lab/cluster github.com/spf13/cobra"},
		{"examples/lab/cluster", "examples/lab/build examples/lab/host golang.org/x/sys/unix"},
		{"examples/lab/...", "golang.org/x/sys/unix"},
		{"examples/bench/...", ""}, // tests alone, which may import what they measure
	}
}

// A listed is what `go list -json` says about a package.
type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,Standard"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func fits(pattern, path string) bool {
	prefix, below := strings.CutSuffix(pattern, "/...")
	return path == prefix || below && strings.HasPrefix(path, prefix+"/")
}

func mayImport(may, path string) bool {
	return slices.ContainsFunc(strings.Fields(may), func(p string) bool { return fits(p, path) })
}

// TestLayers proves that every package imports only what its layer may: cmd -> steps -> engine, families never each
// other, and each outside library in one place.
func TestLayers(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range list(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, p := range list(t, "./...") {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		rows := layers()
		i := slices.IndexFunc(rows, func(row struct{ pkg, may string }) bool { return fits(row.pkg, pkg) })
		if i < 0 {
			t.Errorf("%s is in no layer: add it to the table, which is to say where it belongs", pkg)
			continue
		}
		for _, path := range p.Imports {
			short := strings.TrimPrefix(path, module)
			if !standard[path] && !mayImport(rows[i].may, short) {
				t.Errorf("%s imports %s, which its layer (%s) may not", pkg, short, rows[i].pkg)
			}
		}
	}
}

// TestEngineKnowsNothing proves by what is linked in that the engine stays free of clusters and connections, whatever
// the table above says.
func TestEngineKnowsNothing(t *testing.T) {
	for _, p := range list(t, "-deps", "./engine", "./engine/journal", "./engine/private", "./engine/document", "./engine/plan") {
		for _, foreign := range []string{"k8s.io/", "golang.org/x/crypto/ssh", module + "steps", module + "cmd", "net/http"} {
			if p.ImportPath == strings.TrimSuffix(foreign, "/") || strings.HasPrefix(p.ImportPath, foreign) && strings.Contains(foreign, ".") {
				t.Errorf("the engine depends on %s", p.ImportPath)
			}
		}
	}
}
