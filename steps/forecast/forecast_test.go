package forecast_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/forecast"
)

// What each world of a table has drained, and the findings in full.
func TestDrains(t *testing.T) {
	for _, tt := range []struct {
		name  string
		world func() *cluster
		plan  forecast.Plan
		want  []string
	}{
		{"a cluster as kubeadm makes it has nothing in the way", byDefault, one("cp1", "w1"), nil},
		{"a bare pod is refused", func() *cluster {
			c := workers(2)
			c.pod("shop/job", "w1", bare)
			return c
		}, one("w1"), []string{"blocker drain.bare: w1: the drain refuses 1 pod without a controller: nobody would make them anew [shop/job]"}},
		{"with force it goes", func() *cluster {
			c := workers(2)
			c.pod("shop/job", "w1", bare)
			return c
		}, with(eviction.Settings{Force: true}, "w1"), nil},
		{"emptyDir is refused, and once: a pod that moved is known", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-0", "w1", scratch)
			c.pod("shop/cart-1", "w1", scratch)
			return c
		}, with(eviction.Settings{IgnoreDaemonSets: true}, "w1", "w2"),
			[]string{"blocker drain.emptydir: w1: the drain refuses 2 pods with emptyDir volumes: what is in these would be lost [shop/cart-0; shop/cart-1]"}},
		{"a pod that an earlier drain brings is refused where the options are others", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-0", "w1", scratch)
			c.pod("shop/cart-1", "w1")
			return c
		}, forecast.Plan{Groups: []forecast.Group{{Nodes: []string{"w1"}, Rules: ready(asShipped)}, {Nodes: []string{"w2"}}}},
			[]string{"blocker drain.emptydir: w2: the drain refuses 1 pod with emptyDir volumes: what is in these would be lost [shop/cart-0 (moved from w1)]"}},
		{"pods of DaemonSets are refused where they are not ignored, unless they are finished", func() *cluster {
			c := workers(2)
			c.pod("shop/agent-w1", "w1", owned("DaemonSet", "agent"), scratch)
			c.pod("shop/agent-old", "w1", owned("DaemonSet", "agent"), finished)
			return c
		}, with(eviction.Settings{}, "w1"),
			[]string{"blocker drain.daemonset: w1: the drain refuses 1 pod of DaemonSets: they would be placed here again [shop/agent-w1]"}},
		{"what the selector leaves out is not asked", func() *cluster {
			c := workers(1)
			c.pod("shop/job", "w1", bare)
			return c
		}, with(eviction.Settings{PodSelector: "app=other"}, "w1"), nil},
		{"finished and terminating pods go, static ones stay", func() *cluster {
			c := workers(1)
			c.pod("shop/job", "w1", bare, finished)
			c.pod("shop/old", "w1", bare, terminating)
			c.pod("kube-system/etcd-w1", "w1", static)
			return c
		}, one("w1"), nil},
		{"a node that is none", func() *cluster { return workers(1) }, one("w9"),
			[]string{"blocker drain.unknown: w9: the cluster has no node of this name, so nothing can be drained []"}},
		{"a local volume keeps its pod, but nothing from coming back", func() *cluster {
			c := workers(2)
			c.pod("shop/db-0", "w1", owned("StatefulSet", "db"), volume("pv1", "w1"))
			c.pod("shop/db-1", "w2", owned("StatefulSet", "db"), volume("pv2", "w2"))
			return c
		}, one("w1", "w2"), []string{
			"warning drain.local: w1: 1 pod waits until this node is back: no other node can reach their volumes [shop/db-0: pv1]",
			"warning drain.local: w2: 1 pod waits until this node is back: no other node can reach their volumes [shop/db-1: pv2]",
		}},
		{"the only pod of a workload, but not of kube-system and not of a Job", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/db-0", "w1", owned("StatefulSet", "db"))
			c.pod("shop/job-a", "w1", owned("Job", "job"))
			c.pod("kube-system/coredns-a", "w1")
			return c
		}, one("w1", "w2"), []string{
			"note drain.single: w1: 2 workloads are out of service until the only pod runs elsewhere [Deployment shop/cart; StatefulSet shop/db]",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, words(forecast.Drains(tt.plan, tt.world().World).Findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The worker's drain brings CoreDNS to the control plane, because it tolerates its taint; nothing else would.
func TestCoreDNSGoesToTheControlPlane(t *testing.T) {
	c := byDefault()
	f := forecast.Drains(one("cp1", "w1"), c.World)
	want := []forecast.Outlook{
		{Node: "cp1", Wait: 30 * time.Second, Why: "kube-system/coredns-a may take 30s to end", Moves: []forecast.Move{
			{Pod: "kube-system/coredns-a", From: "cp1", To: "w1"}, {Pod: "kube-system/coredns-b", From: "cp1", To: "w1"}}},
		{Node: "w1", Wait: 30 * time.Second, Why: "kube-system/coredns-a may take 30s to end", Moves: []forecast.Move{
			{Pod: "kube-system/coredns-a", From: "w1", To: "cp1"}, {Pod: "kube-system/coredns-b", From: "w1", To: "cp1"}}},
	}
	if diff := cmp.Diff(want, f.Nodes); diff != "" {
		t.Error(diff)
	}
	if f.Blocked() != nil {
		t.Errorf("blocked: %v", f.Blocked())
	}
	c.pod("shop/cart-a", "w1")
	c.pod("shop/cart-b", "w1")
	f = forecast.Drains(one("cp1", "w1"), c.World)
	if diff := cmp.Diff([]string{"w1"}, f.Blocked()); diff != "" {
		t.Error(diff)
	}
	want1 := []string{"blocker drain.capacity: w1: 2 pods fit on no other node while w1 is out of service [" +
		"shop/cart-a (100m CPU, 64Mi memory): cp1 has the taint node-role.kubernetes.io/control-plane:NoSchedule\n" +
		"shop/cart-b (100m CPU, 64Mi memory): cp1 has the taint node-role.kubernetes.io/control-plane:NoSchedule]"}
	if diff := cmp.Diff(want1, words(f.Findings)); diff != "" {
		t.Error(diff)
	}
}

// The drain waits for the slowest of its pods, in rounds where a budget lets them go one after the other.
func TestWait(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*cluster)
		o    eviction.Settings
		wait time.Duration
		why  string
	}{
		{"no pod to move", func(c *cluster) { c.pod("shop/agent", "w1", owned("DaemonSet", "agent")) }, asShipped, 0, ""},
		{"the longest grace", func(c *cluster) { c.pod("shop/db-0", "w1", grace(10*time.Minute)) }, asShipped,
			10 * time.Minute, "shop/db-0 may take 10m to end"},
		{"the plan's grace instead", func(c *cluster) { c.pod("shop/db-0", "w1", grace(10*time.Minute)) },
			eviction.Settings{GracePeriod: 90 * time.Second}, 90 * time.Second, "shop/cart-a may take 1m30s to end"},
		{"a terminating pod", func(c *cluster) { c.pod("shop/old", "w1", terminating) }, asShipped,
			5 * time.Minute, "shop/old may take 5m to end"},
		{"rounds", func(c *cluster) { c.budget("shop/cart", "cart", 3, 5, 5) }, asShipped,
			time.Minute, "3 pods under PDB shop/cart leave 2 at a time, and each may take 30s to end"},
		{"one round", func(c *cluster) { c.budget("shop/cart", "cart", 1, 5, 5) }, asShipped,
			30 * time.Second, "shop/cart-a may take 30s to end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := workers(2)
			if tt.wait > 0 {
				for _, name := range []string{"a", "b", "c"} {
					c.pod("shop/cart-"+name, "w1")
				}
			}
			tt.with(c)
			got := forecast.Drains(with(tt.o, "w1"), c.World).Nodes[0]
			if got.Wait != tt.wait || got.Why != tt.why {
				t.Errorf("got %s, %q", got.Wait, got.Why)
			}
		})
	}
}

// What a budget keeps on its node.
func TestBudgets(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*cluster)
		want []string
	}{
		{"it allows one", func(c *cluster) { c.budget("shop/cart", "cart", 1, 2, 2) }, nil},
		{"it never allows any", func(c *cluster) { c.budget("shop/cart", "cart", 2, 2, 2) }, []string{
			"blocker drain.budget: PodDisruptionBudget shop/cart: it never allows 2 pods to be evicted: it wants all 2 healthy " +
				"[PDB shop/cart allows 0 (2 healthy, needs 2) of 2 expected; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"it allows none now", func(c *cluster) { c.budget("shop/cart", "cart", 2, 2, 3) }, []string{
			"blocker drain.budget: PodDisruptionBudget shop/cart: it allows none of 2 pods to be evicted now: too few are healthy " +
				"[PDB shop/cart allows 0 (2 healthy, needs 2) of 3 expected; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"it is of another namespace", func(c *cluster) { c.budget("other/cart", "cart", 2, 2, 2) }, nil},
		{"it is not counted yet", func(c *cluster) {
			b := c.budget("shop/cart", "cart", 2, 2, 2)
			b.Pending = true
		}, []string{
			"blocker drain.budget: PodDisruptionBudget shop/cart: it has changed and is not counted yet, and allows none of 2 pods to be evicted " +
				"[PDB shop/cart has changed and is not counted yet; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"its last count allows one, and it is not counted yet", func(c *cluster) {
			b := c.budget("shop/cart", "cart", 1, 2, 2)
			b.Pending = true
		}, []string{
			"warning drain.budget: PodDisruptionBudget shop/cart: it has changed and is not counted yet, and allows none of 2 pods to be evicted " +
				"[PDB shop/cart has changed and is not counted yet; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"an operator writes it, and may move pods that are asked for", func(c *cluster) { c.budget("shop/cart", "cart", 2, 2, 2).Owner = "Kafka shop/cart" }, []string{
			"warning drain.budget: PodDisruptionBudget shop/cart: it allows none of 2 pods to be evicted now, and Kafka shop/cart decides when that changes " +
				"[PDB shop/cart allows 0 (2 healthy, needs 2), and Kafka shop/cart decides that; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"it cannot be computed", func(c *cluster) { c.budget("shop/cart", "cart", 2, 2, 2).Uncomputed = "SyncFailed: no scale" }, []string{
			"blocker drain.budget: PodDisruptionBudget shop/cart: it cannot be computed, and allows none of 2 pods to be evicted " +
				"[PDB shop/cart cannot be computed: SyncFailed: no scale; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"its pods count for none, having no controller", func(c *cluster) { c.budget("shop/cart", "cart", 0, 2, 0).Allowed = 0 }, []string{
			"blocker drain.budget: PodDisruptionBudget shop/cart: it expects no pods, and allows none of 2 pods to be evicted " +
				"[PDB shop/cart allows 0: it expects no pods (expectedPods 0), as no controller wants the 2 that it has; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"two cover the same pods", func(c *cluster) {
			c.budget("shop/cart", "cart", 1, 2, 2)
			c.budget("shop/all", "cart", 1, 2, 2)
		}, []string{"blocker drain.overlap: PodDisruptionBudgets shop/all, shop/cart: 2 pods are covered by more than one PodDisruptionBudget: " +
			"the API server never evicts such a pod [shop/cart-a on w1; shop/cart-b on w2]"}},
		{"two cover the same pods, and an operator writes one", func(c *cluster) {
			c.budget("shop/cart", "cart", 1, 2, 2).Owner = "Kafka shop/cart"
			c.budget("shop/all", "cart", 1, 2, 2)
		}, []string{"blocker drain.overlap: PodDisruptionBudgets shop/all, shop/cart: 2 pods are covered by more than one PodDisruptionBudget: " +
			"the API server never evicts such a pod [PDB shop/cart is written by Kafka shop/cart; shop/cart-a on w1; shop/cart-b on w2]"}},
		{"pods that are not Ready go while the others suffice", func(c *cluster) {
			c.pod("shop/sick-a", "w1", unready)
			c.pod("shop/sick-b", "w1", unready)
			c.budget("shop/sick", "sick", 2, 2, 4)
		}, nil},
		{"pods that are not Ready stay while the others do not suffice", func(c *cluster) {
			c.pod("shop/sick-a", "w1", unready)
			c.pod("shop/sick-b", "w1", unready)
			c.budget("shop/sick", "sick", 1, 0, 2)
		}, []string{
			"blocker drain.budget: PodDisruptionBudget shop/sick: it keeps 2 pods that run and are not Ready: too few of the others are healthy " +
				"[PDB shop/sick allows 0 (0 healthy, needs 1) of 2 expected; shop/sick-a on w1; shop/sick-b on w1]"}},
		{"unless their budget says otherwise", func(c *cluster) {
			c.pod("shop/sick-a", "w1", unready)
			c.pod("shop/sick-b", "w1", unready)
			c.budget("shop/sick", "sick", 1, 0, 2).UnreadyMayGo = true
		}, nil},
		{"nobody asks it for pods that do not run", func(c *cluster) {
			c.pod("shop/late-a", "w1", pending)
			c.pod("shop/late-b", "w1", pending)
			c.budget("shop/late", "late", 2, 0, 2)
		}, nil},
		{"nor for those that the drain leaves alone", func(c *cluster) {
			c.pod("shop/agent-a", "w1", owned("DaemonSet", "agent"))
			c.budget("shop/agent", "agent", 2, 2, 2)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := workers(3)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w2")
			tt.with(c)
			f := forecast.Drains(one("w1", "w2"), c.World)
			if diff := cmp.Diff(tt.want, words(f.Findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, told := range f.Findings {
				if strings.Contains(told.Evidence, "Kafka") && (strings.Contains(told.Remedy, "edit pdb cart") || strings.Contains(told.Remedy, "the others")) {
					t.Errorf("advises to change what an operator writes: %s", told.Remedy)
				}
			}
			if blocks := len(tt.want) > 0 && strings.HasPrefix(tt.want[0], "blocker"); (len(f.Blocked()) > 0) != blocks {
				t.Errorf("blocked: %v", f.Blocked())
			}
		})
	}
}

// A webhook that fails closed must not lose all that answer for it.
func TestWebhooks(t *testing.T) {
	const where = "drain.webhook: ValidatingWebhookConfiguration policy: policy.example.org: it fails closed, and no pod answers for it while w1 "
	const proof = " [service guard/policy; asked about CREATE pods; guard/policy-a; guard/policy-b]"
	for _, tt := range []struct {
		name   string
		second string // node of the second pod
		with   func(*cluster)
		want   []string
	}{
		{"it is asked about neither", "w1", func(c *cluster) { c.webhook("policy", nil, nil) },
			[]string{"warning " + where + "is out of service" + proof}},
		{"it is asked about its own pods", "w1", func(c *cluster) { c.webhook("policy", []string{"guard"}, nil) },
			[]string{"blocker " + where + "is out of service: it stops the very pods that would answer for it again from being created" + proof}},
		{"it is asked about the evictions that are left", "w1", func(c *cluster) { c.webhook("policy", nil, []string{"shop"}) },
			[]string{"blocker " + where + "is out of service: it stops the evictions that are left" + proof}},
		{"it has match conditions", "w1", func(c *cluster) { c.webhook("policy", []string{"guard"}, nil).Conditional = true },
			[]string{"warning " + where + "is out of service; unless its match conditions say otherwise, it stops the very pods that would answer for it again from being created" + proof}},
		{"another pod answers on another node", "w2", func(c *cluster) { c.webhook("policy", []string{"guard"}, nil) }, nil},
		{"a budget keeps one of them", "w1", func(c *cluster) {
			c.webhook("policy", []string{"guard"}, nil)
			c.budget("guard/policy", "policy", 1, 2, 2)
		}, nil},
		{"nobody answers for it anyhow", "w1", func(c *cluster) { c.webhook("gone", []string{"guard"}, nil) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := workers(3)
			c.pod("guard/policy-a", "w1")
			c.pod("guard/policy-b", tt.second)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w1")
			tt.with(c)
			if diff := cmp.Diff(tt.want, words(forecast.Drains(one("w1", "w3"), c.World).Findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Two nodes at once silence a webhook that one after the other would not.
func TestWebhookOverNodesDrainedTogether(t *testing.T) {
	c := workers(3)
	c.pod("guard/policy-a", "w1")
	c.pod("guard/policy-b", "w2")
	c.webhook("policy", []string{"guard"}, nil)
	if found := forecast.Drains(one("w1"), c.World).Findings; found != nil {
		t.Errorf("one at a time: %v", words(found))
	}
	found := forecast.Drains(several(2, "w1", "w2"), c.World).Findings
	if len(words(found)) != 1 || found[0].Check != "drain.webhook" || found[0].Severity != "blocker" {
		t.Errorf("two at once: %v", words(found))
	}
}
