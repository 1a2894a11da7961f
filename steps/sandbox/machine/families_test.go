package machine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kubeadm"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/sandbox"
	"upgrader.dev/upgrader/steps/ssh"
	"upgrader.dev/upgrader/steps/systemd"
)

// A drive performs steps as the engine does, without its journal.
type drive struct {
	t       *testing.T
	cluster *sandbox.Cluster
	fleet   *remote.Fleet
	kinds   []engine.Kind
	tickets int
}

func newDrive(t *testing.T) *drive {
	t.Helper()
	c, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Workers: 1, Version: "1.27.16", Dir: t.TempDir(), Speed: 4, NoWorkload: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	inventory, err := remote.LoadInventory(c.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	fleet := remote.NewFleet(remote.Config{Inventory: inventory})
	t.Cleanup(func() { fleet.Close() })
	client, err := kube.Load(kube.Options{Kubeconfig: c.Kubeconfig, RunID: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	return &drive{t: t, cluster: c, fleet: fleet, kinds: slices.Concat(
		packages.Kinds(fleet, client), systemd.Kinds(fleet, client), etcd.Kinds(fleet), kubeadm.Kinds(fleet, client), ssh.Kinds(fleet),
	)}
}

// step makes a step of a kind with these settings.
func (d *drive) step(kind, with string) engine.Step {
	d.t.Helper()
	return enginetest.Made(d.t, enginetest.Kind(d.t, d.kinds, kind), with)
}

// run observes and changes until the goal holds, and returns what was done.
func (d *drive) run(kind, host, with string) []string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	step := d.step(kind, with)
	var done []string
	for range 200 {
		changes, err := step.Observe(ctx, engine.Scene{Target: engine.Target{Name: host}, Run: "r1", Step: kind, Now: time.Now(), Since: time.Now()})
		if _, wait := errors.AsType[*engine.NotYetError](err); wait {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil {
			d.t.Fatalf("%s@%s: looking: %v", kind, host, err)
		}
		if len(changes) == 0 {
			return done
		}
		for _, c := range changes {
			d.tickets++
			var out strings.Builder
			err := c.Do(ctx, engine.Ticket{ID: fmt.Sprintf("r1-%d", d.tickets), Epoch: 1, Out: io.Writer(&out), Learn: func(engine.Facts) {}})
			if err != nil {
				d.t.Fatalf("%s@%s: %s: %v\n%s", kind, host, c.Say, err, out.String())
			}
			done = append(done, c.Say)
		}
	}
	d.t.Fatalf("%s@%s never came to rest; done: %q", kind, host, done)
	return nil
}

// TestFamilies proves that the scripts of every family run on a pretend machine, over the real client, and that each goal
// holds after one change: a second look finds nothing left to do.
func TestFamilies(t *testing.T) {
	d := newDrive(t)
	const (
		version  = "version: 1.28.15"
		revision = "packages: {kubeadm: 1.28.15-1.1}"
		binaries = "packages: {kubelet: 1.28.15-1.1, kubectl: 1.28.15-1.1}"
	)
	for _, tc := range []struct {
		kind, host, with string
		changes          int
	}{
		{"etcd.healthy", "cp1", "", 0},
		{"etcd.snapshot", "cp1", "", 1},
		{"packages.repository", "cp1", version, 1},
		{"packages.available", "cp1", revision, 0},
		{"packages.install", "cp1", revision, 1},
		{"kubeadm.plan", "cp1", version, 1},
		{"kubeadm.upgrade", "cp1", version, 1},
		{"packages.install", "cp1", binaries, 1},
		{"systemd.restart", "cp1", "unit: kubelet", 1},
		{"etcd.healthy", "cp1", "", 0},
		{"packages.repository", "w1", version, 1},
		{"packages.install", "w1", revision, 1},
		{"kubeadm.upgrade", "w1", version, 1},
		{"packages.install", "w1", binaries, 1},
		{"systemd.restart", "w1", "unit: kubelet.service", 1},
		{"ssh.run", "w1", "run: echo \"$GREETING\" >/etc/motd\nunless: grep -q \"$GREETING\" /etc/motd\nenv: {GREETING: \"it's up\"}", 1},
	} {
		done := d.run(tc.kind, tc.host, tc.with)
		if len(done) != tc.changes {
			t.Errorf("%s@%s did %q, want %d changes", tc.kind, tc.host, done, tc.changes)
		}
		if again := d.run(tc.kind, tc.host, tc.with); len(again) > 0 && tc.kind != "etcd.snapshot" {
			t.Errorf("%s@%s: a second run did %q", tc.kind, tc.host, again)
		}
	}
}

// TestFamiliesInTrouble proves that the scripts see what is wrong with a machine: a lock that is held and a package that
// dpkg left half-configured are waited for and repaired, and a job outlives its connection.
func TestFamiliesInTrouble(t *testing.T) {
	d := newDrive(t)
	m := d.cluster.Machine("w1")
	d.run("packages.repository", "w1", "version: 1.28.15")
	m.BreakNextInstall()
	step := d.step("packages.install", "packages: {kubeadm: 1.28.15-1.1}")
	scene := engine.Scene{Target: engine.Target{Name: "w1"}, Run: "r1", Step: "x", Now: time.Now()}
	changes, err := step.Observe(t.Context(), scene)
	if err != nil || len(changes) != 1 {
		t.Fatalf("%v, %v", changes, err)
	}
	err = changes[0].Do(t.Context(), engine.Ticket{ID: "broken", Epoch: 1, Out: io.Discard, Learn: func(engine.Facts) {}})
	if exit, ok := errors.AsType[*remote.ExitError](err); !ok || exit.Code != 100 {
		t.Fatalf("an installation that breaks: %v", err)
	}
	release := m.HoldDpkgLock(time.Hour, "unattended-upgr")
	if _, err := step.Observe(t.Context(), scene); err == nil || !strings.Contains(err.Error(), "unattended-upgr") {
		t.Errorf("with the lock held: %v, want its holder named", err)
	}
	time.AfterFunc(50*time.Millisecond, release)
	done := d.run("packages.install", "w1", "packages: {kubeadm: 1.28.15-1.1}")
	if len(done) == 0 {
		t.Error("nothing was repaired")
	}
	slow := d.step("ssh.run", "run: sleep 2; echo x >/etc/slow\nunless: '[ -f /etc/slow ]'")
	changes, err = slow.Observe(t.Context(), scene)
	if err != nil || len(changes) != 1 {
		t.Fatalf("%v, %v", changes, err)
	}
	finished := make(chan error, 1)
	go func() {
		finished <- changes[0].Do(t.Context(), engine.Ticket{ID: "slow", Epoch: 1, Out: io.Discard, Learn: func(engine.Facts) {}})
	}()
	time.Sleep(100 * time.Millisecond) // any moment will do
	m.DropConnections()
	if err := <-finished; err != nil {
		t.Errorf("a job whose connection was cut: %v", err)
	}
}
