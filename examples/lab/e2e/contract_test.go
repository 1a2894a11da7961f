//go:build e2e

package e2e

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/sandbox"
)

// A side is one of the two that contracts compare: the sandbox or the lab.
type side struct {
	name       string
	fleet      *remote.Fleet
	kubeconfig string
	cluster    *sandbox.Cluster // nil for the lab
	versions   map[string]string
}

// contractTime is how long one script of a contract may take; most take less than a second.
const contractTime = time.Minute

// bothSides opens the lab, and starts a sandbox like it.
func bothSides(t *testing.T) (lab, pretend side) {
	t.Helper()
	l := labOfContracts(t)
	c, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Workers: 1, Version: l.version, Dir: t.TempDir(), NoWorkload: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	versions := l.versions(t)
	lab = side{"lab", openFleet(t, l.inventory), l.kubeconfig, nil, versions}
	pretend = side{"sandbox", openFleet(t, c.Inventory), c.Kubeconfig, c, versions}
	return lab, pretend
}

// contractState is where jobs of the contracts keep their files, apart from those of real runs on the same lab.
const contractState = "/var/lib/upgrader-contract"

func openFleet(t *testing.T, inventory string) *remote.Fleet {
	t.Helper()
	inv, err := remote.LoadInventory(inventory)
	if err != nil {
		t.Fatal(err)
	}
	fleet := remote.NewFleet(remote.Config{Inventory: inv, StateDir: contractState})
	t.Cleanup(func() { _ = fleet.Close() })
	return fleet
}

// sh runs a script on a host of the side.
func (s side) sh(t *testing.T, host, script string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(t.Context()), contractTime, errors.New("a contract takes no minute"))
	defer cancel()
	h, err := s.fleet.Host(host)
	if err != nil {
		t.Fatal(err)
	}
	result, err := h.Query(ctx, remote.Script{Text: script, Env: s.versions})
	a := answer{stdout: result.Stdout, stderr: result.Stderr}
	exit, failed := errors.AsType[*remote.ExitError](err)
	switch {
	case failed:
		a.exit = exit.Code
	case err != nil:
		t.Fatalf("%s: %v", s.name, err)
	}
	return a
}

// keep runs a contract on one side.
func (s side) keep(t *testing.T, c contract) answer {
	t.Helper()
	if c.given != "" {
		s.given(t, c.host, c.given)
	}
	defer s.must(t, c.host, c.cleanup)
	s.must(t, c.host, c.setup)
	return s.sh(t, c.host, c.script)
}

// fingerprint is what contracts must leave as they found it.
const fingerprint = `
dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\n' | grep -E '^(kube|cri-tools)'
apt-mark showhold
apt-cache madison kubeadm kubelet kubectl
find /etc/apt /etc/kubernetes -type f | sort | while read -r f; do sha256sum "$f"; done
ls -A /var/lib/upgrader /var/lib/upgrader-contract /var/lib/dpkg/updates /tmp/contract 2>/dev/null || :
systemctl list-units --all --plain --no-legend 'contract-*'
for u in kubelet containerd ssh; do systemctl is-active $u; done
`

// Every rule that the sandbox pretends is tried there and in the lab, and the answers are compared: of shell scripts on
// the hosts, of durable jobs, and of requests to the API server.
func TestContracts(t *testing.T) {
	t.Parallel()
	lab, pretend := bothSides(t)
	t.Run("hosts", func(t *testing.T) { scriptContracts(t, lab, pretend) })
	t.Run("jobs", func(t *testing.T) { allJobContracts(t, lab, pretend) })
	t.Run("api", func(t *testing.T) { apiContracts(t, lab, pretend) })
}

// scriptContracts runs the same scripts on hosts of both sides, and leaves the lab's as they were.
func scriptContracts(t *testing.T, lab, pretend side) {
	files, err := filepath.Glob("testdata/contract/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no contracts: %v", err)
	}
	hosts := []string{"cp1", "w1"}
	before := map[string]answer{}
	for _, h := range hosts {
		before[h] = lab.sh(t, h, fingerprint)
	}
	lanes := readContracts(t, files)
	var both sync.WaitGroup // on the two hosts at once, one after the other on each
	for _, h := range hosts {
		both.Go(func() {
			for _, c := range lanes[h] {
				t.Run(c.name, func(t *testing.T) { compare(t, c, lab, pretend) })
			}
		})
	}
	both.Wait()
	for _, h := range hosts {
		if after := lab.sh(t, h, fingerprint); after != before[h] {
			t.Errorf("%s is not as it was:\n%s\nand before:\n%s", h, after.comparable(nil), before[h].comparable(nil))
		}
	}
}

// readContracts reads contracts, by the host that they are on.
func readContracts(t *testing.T, files []string) map[string][]contract {
	t.Helper()
	lanes := map[string][]contract{}
	for _, file := range files {
		c, err := readContract(file)
		if err != nil {
			t.Fatal(err)
		}
		lanes[c.host] = append(lanes[c.host], c)
	}
	return lanes
}

// compare runs a contract on both sides at once.
func compare(t *testing.T, c contract, lab, pretend side) {
	answers := make([]answer, 2)
	var both sync.WaitGroup
	for i, s := range []side{lab, pretend} {
		both.Go(func() { answers[i] = s.keep(t, c) })
	}
	both.Wait()
	if real, claimed := answers[0].comparable(c.rules), answers[1].comparable(c.rules); real != claimed {
		t.Errorf("%s\nlab:     %s\nsandbox: %s", c.proves, real, claimed)
	}
}
