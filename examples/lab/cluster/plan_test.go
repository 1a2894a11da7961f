//go:build linux

package cluster

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/examples/lab/build"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

var example = Plan{Name: "lab", Version: "1.27.3", Net: 3, ControlPlanes: 2, Workers: 1}

// TestAddresses proves that hosts, networks and links have the names and numbers that the lab documents, that every host
// knows the way to all others that may come, and that the kernel takes the names.
func TestAddresses(t *testing.T) {
	if got, want := example.Hosts(), []string{"cp1", "cp2", "w1"}; !slices.Equal(got, want) {
		t.Errorf("hosts are %v, not %v", got, want)
	}
	for name, want := range map[string]string{"cp1": "10.77.3.11", "cp3": "10.77.3.13", "w1": "10.77.3.21", "w4": "10.77.3.24"} {
		if got := example.Address(name); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	big := example
	big.Net = 254
	for _, name := range big.possible() {
		c := big.host(name, "/rootfs")
		if len(c.Cable) > 15 || len(c.Bridge) > 15 {
			t.Errorf("the kernel takes no link names as long as %q or %q", c.Cable, c.Bridge)
		}
		if len(c.Routes) != MostControlPlanes+MostWorkers-1 {
			t.Errorf("%s has %d routes", name, len(c.Routes))
		}
		for _, r := range c.Routes {
			if r.To == c.Pods || r.Via == c.Address {
				t.Errorf("%s has a route to itself: %v", name, r)
			}
		}
	}
}

// TestNames proves that nothing becomes part of a path, a cgroup or a command line that is more than a name.
func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"lab": true, "ci-1": true, "": false, "..": false, "a/b": false, "-x": false, "A": false, strings.Repeat("a", 33): false} {
		if got := checkName(name) == nil; got != ok {
			t.Errorf("checkName(%q) is fine: %v, want %v", name, got, ok)
		}
	}
}

// TestAccept proves that a lab grows, never shrinks, and keeps its version.
func TestAccept(t *testing.T) {
	l := &Lab{Plan: example}
	if err := l.accept(Want{ControlPlanes: 1, Workers: 3}); err != nil || l.ControlPlanes != 2 || l.Workers != 3 {
		t.Errorf("got %+v, %v", l.Plan, err)
	}
	if err := l.accept(Want{Version: "1.28.15"}); err == nil || !strings.Contains(err.Error(), "made at 1.27.3") {
		t.Errorf("another version was accepted: %v", err)
	}
}

// TestLabs proves that plans are kept, that labs know of each other's networks, and that one that is not there is
// reported with the way to make it.
func TestLabs(t *testing.T) {
	c := build.Cache{Dir: t.TempDir()}
	if _, err := Open(c, "lab"); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "lab up --name lab") {
		t.Errorf("opening no lab: %v", err)
	}
	for n, name := range map[int]string{1: "one", 2: "two"} {
		l := &Lab{Dir: c.Lab(name), cache: c, Plan: Plan{Name: name, Version: "1.27.3", Net: n, ControlPlanes: 1}}
		if err := errors.Join(os.MkdirAll(l.Dir, 0o755), l.save()); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Open(c, "two")
	if err != nil || l.Net != 2 || l.Gateway() != "10.77.2.1" {
		t.Errorf("got %+v, %v", l, err)
	}
	taken, err := takenNets(c)
	if err != nil || !taken[1] || !taken[2] || taken[3] {
		t.Errorf("taken are %v, %v", taken, err)
	}
	if err := l.Knows("w9"); err == nil || !strings.Contains(err.Error(), "cp1") {
		t.Errorf("an unknown host: %v", err)
	}
}

// TestLock proves that a second one is turned away for as long as the first one works, and that nothing is left of it.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, errBusy) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	again, err := lock(dir, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		t.Fatal(err)
	}
	again()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
