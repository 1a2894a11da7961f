//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	from, to = "1.27.3", "1.28.15"
	beyond   = "1.29.15" // two minor versions at once: only the full tests build it
	runbook  = "../../../plans/1.27-to-1.28.yaml"
)

var (
	seed = flag.Uint64("seed", 1, "of the moments at which the controller is killed")
	keep = flag.Bool("keep", false, "leave the lab of a failed test up, to look at it")

	programs string // the directory with lab and upgrader, built by TestMain
	machine  = newRoom(hostsAtOnce)
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := withPrograms(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// withPrograms builds the programs under test, and what the lab is made of.
func withPrograms(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "upgrader-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = dir
	versions := []string{from, to}
	if !testing.Short() {
		versions = append(versions, beyond)
	}
	for _, step := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "upgrader"), "../../../cmd/upgrader"},
		{"go", "build", "-o", filepath.Join(dir, "lab"), ".."},
		append([]string{filepath.Join(dir, "lab"), "build"}, versions...),
	} {
		cmd := exec.Command(step[0], step[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return 1, fmt.Errorf("%v: %w", step, err)
		}
	}
	return run(), nil
}
