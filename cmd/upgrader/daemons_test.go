package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/sandbox"
)

// A night is a pretend cluster, and an operator who upgrades it with the runbook of the project.
type night struct {
	*sandbox.Cluster
	t      *testing.T
	env    map[string]string
	client *kube.Client
}

func newNight(t *testing.T, workers int) *night {
	t.Helper()
	dir := t.TempDir()
	c, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Workers: workers, Version: "1.27.3", Dir: filepath.Join(dir, "box"), Speed: 4, NoWorkload: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	client, err := kube.Load(kube.Options{Kubeconfig: c.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	return &night{c, t, map[string]string{"HOME": dir, "USER": "tester", "UPGRADER_STATE_DIR": filepath.Join(dir, "state")}, client}
}

// upgrader is what one command line comes to.
func (b *night) upgrader(args ...string) (code int, said string) {
	var out, errs bytes.Buffer
	code = run(b.t.Context(), nil, args, strings.NewReader(""), &out, &errs, b.env)
	return code, out.String() + errs.String()
}

// upgrade upgrades the cluster; hosts are those of its inventory.
func (b *night) upgrade(more ...string) (code int, said string) {
	return b.upgrader(append([]string{"run", "../../plans/1.27-to-1.28.yaml", "--yes", "--var", "soak=1s", "--inventory", b.Inventory, "--kubeconfig", b.Kubeconfig}, more...)...)
}

// did says how often the record of effects has one like this.
func (b *night) did(what, host string) int {
	all, err := sandbox.ReadEffects(b.Effects)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(slices.DeleteFunc(all, func(e sandbox.Effect) bool { return e.What != what || e.Host != host }))
}

// daemon is the pod of a DaemonSet on a node.
func (b *night) daemon(set, node string) kube.Daemon {
	all, err := b.client.Daemons(b.t.Context(), node)
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(d kube.Daemon) bool { return d.Owner == set })
	if i < 0 {
		b.t.Fatalf("%s has no pod on %s", set, node)
	}
	return all[i]
}

// The network of the canary crash-loops under its new kubelet: its node is Ready, and the rollout stops there all the same.
// Once that is mended, the run goes on.
func TestARolloutStopsWhenACanarysNetworkCrashes(t *testing.T) {
	b := newNight(t, 3)
	b.FailDaemon("cni", "w1", "1.28.15")
	code, said := b.upgrade()
	for _, words := range []string{"FAILED workers/", " on w1", "pod kube-system/cni-", "of DaemonSet cni: container main was restarted ", "it last ended with exit code 1: Error", "`kubectl -n kube-system logs cni-", " -c main --previous`"} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q", words)
		}
	}
	if code != exitFailed || b.did(sandbox.EffectCordon, "w2")+b.did(sandbox.EffectCordon, "w3") > 0 {
		t.Errorf("exit code %d, w2 cordoned %d times, w3 %d:\n%s", code, b.did(sandbox.EffectCordon, "w2"), b.did(sandbox.EffectCordon, "w3"), said)
	}
	b.FailDaemon("cni", "w1")
	if err := b.client.Evict(t.Context(), b.daemon("cni", "w1").Pod); err != nil { // the one that is made in its place has crashed never
		t.Fatal(err)
	}
	if code, said := b.upgrader("resume", "--yes"); code != 0 || b.did(sandbox.EffectCordon, "w3") != 1 {
		t.Errorf("resumed: exit code %d:\n%s", code, said)
	}
}

// A pod of a DaemonSet that was ill before the run began is told, and stops nothing.
func TestADaemonThatWasIllStopsNothing(t *testing.T) {
	b := newNight(t, 2)
	b.FailDaemon("cni", "w1", "1.27.3", "1.28.15")
	for end := time.Now().Add(20 * time.Second); b.daemon("cni", "w1").Containers[0].Restarts < kube.Crashes; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("cni does not crash")
		}
	}
	code, said := b.upgrade()
	if code != 0 || !strings.Contains(said, "node.daemons") || !strings.Contains(said, "of DaemonSet cni is not well") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
}
