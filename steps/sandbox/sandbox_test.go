package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a sandbox that ends with the test, and a client of its API.
func start(t *testing.T, o sandbox.Options) (*sandbox.Cluster, *kube.Client) {
	t.Helper()
	o.Dir = t.TempDir()
	c, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := kube.Load(kube.Options{Kubeconfig: c.Kubeconfig, RunID: "test-run"})
	if err != nil {
		t.Fatal(err)
	}
	return c, client
}

// eventually looks again and again until what was hoped for is so. The clock is a limit, never a signal.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("still not so: %s", what)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// effects are the lines of effects.jsonl, as "what host detail".
func effects(t *testing.T, c *sandbox.Cluster, what ...string) []string {
	t.Helper()
	all, err := sandbox.ReadEffects(c.Effects)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range all {
		if len(what) == 0 || slices.Contains(what, e.What) {
			lines = append(lines, strings.TrimSpace(e.What+" "+e.Host+" "+e.Detail))
		}
	}
	return lines
}

// A new sandbox is a cluster as kubeadm leaves it, at rest, and looking at all of it leaves no effect.
func TestNewCluster(t *testing.T) {
	c, client := start(t, sandbox.Options{ControlPlanes: 3, Workers: 5, Version: "1.27.16"})
	ctx := t.Context()
	nodes := must[[]kube.Node](t)(client.Nodes(ctx))
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
		if !n.Ready || n.Unschedulable || n.KubeletVersion != "1.27.16" || n.ControlPlane != strings.HasPrefix(n.Name, "cp") || n.BootID == "" {
			t.Errorf("node %+v is not at rest", n)
		}
		if renewed := must[time.Time](t)(client.NodeLease(ctx, n.Name)); time.Since(renewed) > 30*time.Second {
			t.Errorf("%s: the lease is from %v", n.Name, renewed)
		}
		if n.ControlPlane {
			continue
		}
		pods := must[[]kube.Pod](t)(client.Pods(ctx, kube.PodFilter{Node: n.Name, Namespace: "shop"}))
		if len(pods) == 0 {
			t.Errorf("worker %s holds no pods of the workload", n.Name)
		}
	}
	if got, want := strings.Join(names, " "), "cp1 cp2 cp3 w1 w2 w3 w4 w5"; got != want {
		t.Errorf("nodes %s, want %s", got, want)
	}
	for _, p := range must[[]kube.Pod](t)(client.Pods(ctx, kube.PodFilter{})) {
		if !p.Ready || p.Node == "" {
			t.Errorf("pod %s/%s on %q is not ready", p.Namespace, p.Name, p.Node)
		}
		if p.Mirror && p.ConfigHash == "" {
			t.Errorf("mirror pod %s has no config hash", p.Name)
		}
	}
	for _, b := range must[[]kube.Budget](t)(client.Budgets(ctx, "")) {
		if b.Allowed < 1 {
			t.Errorf("budget %s/%s allows %d", b.Namespace, b.Name, b.Allowed)
		}
	}
	if v := must[string](t)(client.ServerVersion(ctx)); v != "1.27.16" {
		t.Errorf("server version %s", v)
	}
	if uid := must[string](t)(client.UID(ctx)); len(uid) != 36 {
		t.Errorf("the cluster's UID is %q", uid)
	}
	config := must[map[string]string](t)(client.ConfigData(ctx, "kube-system", "kubeadm-config"))
	if !strings.Contains(config["ClusterConfiguration"], "kubernetesVersion: v1.27.16\n") {
		t.Errorf("kubeadm-config: %v", config)
	}
	if err := client.Readyz(ctx); err != nil {
		t.Error(err)
	}
	if got := effects(t, c); len(got) > 0 {
		t.Errorf("reading left effects: %q", got)
	}
}

// A drained worker's pods come back on other workers, never on a cordoned node; its DaemonSet pods stay; and the
// record names what was done, who did it, and how many workers were out.
func TestDrain(t *testing.T) {
	c, client := start(t, sandbox.Options{ControlPlanes: 1, Workers: 3})
	ctx := t.Context()
	if err := client.Cordon(ctx, "w1", "test-run/drain"); err != nil {
		t.Fatal(err)
	}
	if len(must[[]kube.Attachment](t)(client.Attachments(ctx, "w1"))) == 0 {
		t.Error("no volume is attached to w1: the test shows nothing about them")
	}
	evicted := drain(t, client, "w1")
	if evicted == 0 {
		t.Fatal("there was nothing to evict")
	}
	eventually(t, "every pod of the shop is ready elsewhere", func() bool {
		pods := must[[]kube.Pod](t)(client.Pods(ctx, kube.PodFilter{Namespace: "shop"}))
		return len(pods) == 6+3+3 && !slices.ContainsFunc(pods, func(p kube.Pod) bool { return !p.Ready || p.Node == "w1" })
	})
	eventually(t, "no volume is attached to w1", func() bool {
		return len(must[[]kube.Attachment](t)(client.Attachments(ctx, "w1"))) == 0
	})
	left := must[[]kube.Pod](t)(client.Pods(ctx, kube.PodFilter{Node: "w1"}))
	if len(left) != 2 || left[0].OwnerKind != "DaemonSet" || left[1].OwnerKind != "DaemonSet" {
		t.Errorf("left on w1: %+v, want the two DaemonSets' pods", left)
	}
	if err := client.Uncordon(ctx, "w1", "test-run/drain"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"cordon w1 annotation upgrader.dev/cordoned-by=test-run/drain",
		"UNAVAILABLE  1/3 workers: w1 cordoned",
		"uncordon w1 annotation upgrader.dev/cordoned-by removed (was test-run/drain)",
		"UNAVAILABLE  0/3 workers",
	}
	if got := effects(t, c, "cordon", "uncordon", sandbox.Unavailable); !slices.Equal(got, want) {
		t.Errorf("effects %q\nwant    %q", got, want)
	}
	if got := effects(t, c, "evict"); len(got) != evicted {
		t.Errorf("%d evictions are recorded, %d were made", len(got), evicted)
	}
	all := must[[]sandbox.Effect](t)(sandbox.ReadEffects(c.Effects))
	if all[0].Run != "test-run" {
		t.Errorf("the first effect is of run %q", all[0].Run)
	}
}

// drain evicts what a drain evicts, trying again where a budget says no, and counts the evictions accepted.
func drain(t *testing.T, client *kube.Client, node string) (evicted int) {
	t.Helper()
	eventually(t, node+" is drained", func() bool {
		waiting := false
		for _, p := range must[[]kube.Pod](t)(client.Pods(t.Context(), kube.PodFilter{Node: node})) {
			if p.Mirror || p.OwnerKind == "DaemonSet" {
				continue
			}
			waiting = true
			var blocked *kube.Blocked
			switch err := client.Evict(t.Context(), p); {
			case p.Terminating, errors.As(err, &blocked):
			case err != nil:
				t.Fatal(err)
			default:
				evicted++
			}
		}
		return !waiting
	})
	return evicted
}

// A budget that is used up refuses with its name and its numbers, and lets the next pod go when the first is back.
func TestBudget(t *testing.T) {
	_, client := start(t, sandbox.Options{ControlPlanes: 1, Workers: 3})
	ctx := t.Context()
	pods := must[[]kube.Pod](t)(client.Pods(ctx, kube.PodFilter{Namespace: "shop", Labels: "app=api"}))
	if len(pods) != 3 {
		t.Fatalf("%d pods of the api", len(pods))
	}
	if err := client.Evict(ctx, pods[0]); err != nil {
		t.Fatal(err)
	}
	var blocked *kube.Blocked
	err := client.Evict(ctx, pods[1])
	if !errors.As(err, &blocked) || blocked.Budget != "shop/api" {
		t.Fatalf("the second eviction: %v, want it to be blocked by shop/api", err)
	}
	eventually(t, "the budget lets the second pod go", func() bool { return client.Evict(ctx, pods[1]) == nil })
	gone := pods[2]
	gone.UID = "another"
	if err := client.Evict(ctx, gone); err != nil {
		t.Errorf("a pod of another UID is gone already, yet: %v", err)
	}
	still := must[[]kube.Pod](t)(client.Pods(ctx, kube.PodFilter{Namespace: "shop", Labels: "app=api"}))
	if !slices.ContainsFunc(still, func(p kube.Pod) bool { return p.UID == pods[2].UID && !p.Terminating }) {
		t.Error("an eviction for another UID ended a pod")
	}
}

// Two clients that want the lock: one gets it, the other is told who has it.
func TestLeaseConflict(t *testing.T) {
	c, client := start(t, sandbox.Options{ControlPlanes: 1, Workers: 0})
	ctx := t.Context()
	first := kube.NewLock(client, kube.Identity{Run: "r1", Person: "ann", Machine: "here"})
	second := kube.NewLock(client, kube.Identity{Run: "r2", Person: "bob", Machine: "there"})
	if err := first.Acquire(ctx); err != nil {
		t.Fatal(err)
	}
	var held *kube.HeldError
	if err := second.Acquire(ctx); !errors.As(err, &held) {
		t.Errorf("the second got %v, want to be told that it is held", err)
	}
	if err := first.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := second.Acquire(ctx); err != nil {
		t.Error(err)
	}
	if got := effects(t, c); len(got) == 0 || !strings.HasPrefix(got[0], "create  leases kube-system/") {
		t.Errorf("effects %q, want the lease's creation first", got)
	}
}

// A context that ends closes the sandbox, and Wait tells.
func TestEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := sandbox.Start(ctx, sandbox.Options{ControlPlanes: 1, Workers: 1, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Two sandboxes in one directory would mix their records: the second is refused.
func TestDirectoryInUse(t *testing.T) {
	c, _ := start(t, sandbox.Options{})
	_, err := sandbox.Start(t.Context(), sandbox.Options{Dir: filepath.Dir(c.Effects)})
	if err == nil || !strings.Contains(err.Error(), "another sandbox runs in this directory") {
		t.Errorf("the second sandbox: %v", err)
	}
}

// Options that make no cluster are refused with a reason, and nothing is written.
func TestBadOptions(t *testing.T) {
	for _, c := range []struct {
		o    sandbox.Options
		want string
	}{
		{sandbox.Options{ControlPlanes: 10, Dir: "x"}, "1 to 9 control planes"},
		{sandbox.Options{Workers: -1, Dir: "x"}, "-1 workers"},
		{sandbox.Options{Version: "latest", Dir: "x"}, "no version of Kubernetes"},
		{sandbox.Options{Version: "1.28", Dir: "x"}, "no version of Kubernetes"},
		{sandbox.Options{}, "needs a directory"},
	} {
		_, err := sandbox.Start(t.Context(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
		if _, err := os.Stat("x"); err == nil {
			t.Fatal("a directory was made")
		}
	}
}

// BenchmarkStart shows whether every test can have a sandbox of its own, and a large one now and then.
func BenchmarkStart(b *testing.B) {
	for _, workers := range []int{5, 497} {
		b.Run(fmt.Sprintf("3+%d", workers), func(b *testing.B) {
			for b.Loop() {
				c, err := sandbox.Start(b.Context(), sandbox.Options{ControlPlanes: 3, Workers: workers, Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
		})
	}
}
