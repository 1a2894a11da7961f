//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// A contractLab is what the contracts need of a lab: the ways in, and what it runs.
type contractLab struct {
	inventory  string // hosts, keys and known hosts, as upgrader reads them
	kubeconfig string
	version    string // of Kubernetes: the sandbox is started at the same one
	next       string // what its repositories offer of the next minor version
}

// labOfContracts is a lab of one control plane and one worker.
func labOfContracts(t *testing.T) contractLab {
	t.Helper()
	l := up(t, 1, 1)
	return contractLab{
		inventory: filepath.Join(l.dir, "inventory.yaml"), kubeconfig: filepath.Join(l.dir, "kubeconfig"),
		version: from, next: to,
	}
}

// versions are the variables that contracts write for what the lab runs and what it can be upgraded to.
func (l contractLab) versions(t *testing.T) map[string]string {
	t.Helper()
	v := map[string]string{"NOW": l.version, "NEXT": l.next}
	for _, name := range []string{"NOW", "NEXT"} {
		dot := strings.LastIndex(v[name], ".")
		if dot < 0 {
			t.Fatalf("%q is no version of Kubernetes; write it as 1.27.3", v[name])
		}
		v[name+"_MINOR"] = v[name][:dot]
	}
	return v
}
