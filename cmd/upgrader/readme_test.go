package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeTellsTheTruth proves that the plan in README is valid, that its exit codes are those of the program, and that
// the example inventories can be read.
func TestReadmeTellsTheTruth(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("README shows no plan")
	}
	path := filepath.Join(t.TempDir(), "readme.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(args ...string) {
		var out bytes.Buffer
		if code := run(t.Context(), nil, args, nil, &out, &out, nil); code != exitDone {
			t.Errorf("upgrader %s: exit code %d\n%s", strings.Join(args, " "), code, out.String())
		}
	}
	try("validate", path, "--var", "maxUnavailable=10%")
	inventories, err := filepath.Glob("../../examples/inventories/*.yaml")
	if err != nil || len(inventories) == 0 {
		t.Fatalf("no example inventories: %v", err)
	}
	for _, inventory := range inventories {
		try("validate", path, "--inventory", inventory)
		try("validate", "../../plans/1.27-to-1.28.yaml", "--inventory", inventory)
	}
	for _, code := range []string{"0", "1", "2", "3", "4", "5", "6", "130"} {
		if !regexp.MustCompile(`(?m)^\| ` + code + ` \|`).Match(readme) {
			t.Errorf("README does not explain exit code %s", code)
		}
	}
}
