package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

// floors are versions below which a module is not to be used, with the reason.
func floors() map[string]string {
	return map[string]string{
		"golang.org/x/crypto": "0.52.0", // what came before has known ways to stop or deceive a client of SSH
	}
}

// TestModulesAreNewEnough holds what go.mod chooses against the floors, whatever is required by whom.
func TestModulesAreNewEnough(t *testing.T) {
	for module, floor := range floors() {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module).CombinedOutput()
		if err != nil {
			t.Fatalf("go list -m %s: %v\n%s", module, err, out)
		}
		version := strings.TrimSpace(string(out))
		v, err := semver.NewVersion(version)
		if err != nil || v.LessThan(semver.MustParse(floor)) {
			t.Errorf("%s is %s, want %s or newer", module, version, floor)
		}
	}
}
