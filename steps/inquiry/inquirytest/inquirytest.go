// Package inquirytest runs scripts that ask a host, for the tests of who writes them. It may import remote.
package inquirytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/remote"
)

// Here runs a script on this machine as a host would, with these commands before its own: shell, by their names. A script
// that fails fails the test.
func Here(t testing.TB, s remote.Script, commands map[string]string) (stdout, stderr string) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range commands {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "set -eu\n"+s.Text)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "LC_ALL=C"}
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out.String(), errs.String()
}
