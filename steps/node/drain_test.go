package node_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

func pod(name, owner string, change ...func(*kube.Pod)) kube.Pod {
	p := kube.Pod{Namespace: "shop", Name: name, UID: "uid of " + name, Node: "w1", OwnerKind: owner, Owner: "o", Labels: map[string]string{"app": name}}
	for _, c := range change {
		c(&p)
	}
	return p
}

func emptyDir(p *kube.Pod) { p.EmptyDir = true }
func finished(p *kube.Pod) { p.Phase = "Succeeded" }
func mirror(p *kube.Pod)   { p.Mirror = true }
func terminating(p *kube.Pod) {
	p.Terminating, p.TerminatingSince = true, time.Now().Add(-2*time.Minute)
}

// kubectl's filters, in a table: which pods are evicted, which stay, and what refuses the drain before anything is
// cordoned, every pod at once.
func TestWhichPodsGo(t *testing.T) {
	for _, tt := range []struct {
		name string
		pods []kube.Pod
		with string
		says string   // once cordoned
		err  []string // before
	}{
		{name: "managed", pods: []kube.Pod{pod("a", "ReplicaSet"), pod("b", "StatefulSet"), pod("c", "Job")},
			says: "evict its pods shop/a; evict its pods shop/b; evict its pods shop/c"},
		{name: "those that stay", pods: []kube.Pod{pod("ds", "DaemonSet"), pod("ds-tmp", "DaemonSet", emptyDir), pod("static", "Node", mirror), pod("static-tmp", "", mirror, emptyDir)}},
		{name: "finished ones always may", pods: []kube.Pod{pod("a", "", finished), pod("b", "Job", finished, emptyDir), pod("ds", "DaemonSet", finished)},
			says: "evict its pods shop/a; evict its pods shop/b; evict its pods shop/ds"},
		{name: "all faults at once", pods: []kube.Pod{pod("bare", ""), pod("bare2", ""), pod("cache", "ReplicaSet", emptyDir), pod("fine", "ReplicaSet")},
			err: []string{"Pods with local storage (use `with: {deleteEmptyDir: true}` to override): shop/cache", "Pods that declare no controller (use `with: {force: true}` to override): shop/bare, shop/bare2"}},
		{name: "forced", pods: []kube.Pod{pod("bare", ""), pod("cache", "ReplicaSet", emptyDir)}, with: "{force: true, deleteEmptyDir: true}",
			says: "evict its pods shop/bare; evict its pods shop/cache"},
		{name: "DaemonSets not ignored", pods: []kube.Pod{pod("ds", "DaemonSet")}, with: "ignoreDaemonSets: false",
			err: []string{"DaemonSet-managed Pods (use `with: {ignoreDaemonSets: true}` to ignore): shop/ds"}},
		{name: "a selector", pods: []kube.Pod{pod("a", "ReplicaSet"), pod("b", "")}, with: "podSelector: app=a",
			says: "evict its pods shop/a"},
		{name: "terminating ones are nobody's fault", pods: []kube.Pod{pod("a", "", terminating, emptyDir)},
			err: []string{"not yet: shop/a is terminating for 2m"}},
		{name: "elsewhere", pods: []kube.Pod{pod("a", "", func(p *kube.Pod) { p.Node = "w2" })}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := kubetest.New()
			for _, p := range tt.pods {
				s.SetPod(p)
			}
			st := stepOn(t, s, "node.drain", "boot boot-1\n", tt.with)
			s.SetNode(w1(false, ""))
			changes, err := st.Observe(t.Context(), scene(nil))
			refused := len(tt.err) > 0 && !strings.HasPrefix(tt.err[0], "not yet")
			if refused != (err != nil) || !refused && says(changes) != "cordon" {
				t.Errorf("before the cordon: %q, %v", says(changes), err)
			}
			if !refused {
				s.SetNode(w1(true, run+"/"+path))
				changes, err = st.Observe(t.Context(), scene(nil))
			}
			if got := says(changes); !refused && got != tt.says {
				t.Errorf("says %q, want %q", got, tt.says)
			}
			for _, words := range tt.err {
				if err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("got %v, want %q", err, words)
				}
			}
		})
	}
}

// busy is a node with two pods behind a budget, one free, a DaemonSet's with a volume of its own, and a static one.
func busy(s *kubetest.Server) {
	s.SetNode(w1(false, ""))
	behind := func(p *kube.Pod) { p.Labels = map[string]string{"app": "cart"} }
	s.SetPod(pod("cart-0", "StatefulSet", behind))
	s.SetPod(pod("cart-1", "StatefulSet", behind, func(p *kube.Pod) { p.Claims = []string{"data"} }))
	s.SetPod(pod("web", "ReplicaSet"))
	s.SetPod(pod("agent", "DaemonSet", func(p *kube.Pod) { p.Claims = []string{"agent"} }))
	s.SetPod(pod("etcd", "Node", mirror))
	s.SetBudget("shop", "cart", 1, map[string]string{"app": "cart"})
	s.Attach("pv-agent", "w1", "shop/agent")
	s.Linger(3 * time.Second)
	s.OnEvict(func(p kube.Pod) {
		if !strings.HasPrefix(p.Name, "cart") {
			return
		}
		time.AfterFunc(20*time.Second, func() { // the StatefulSet makes it again elsewhere, Ready
			s.SetPod(kube.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID + "'", Node: "w2", OwnerKind: "StatefulSet", Labels: map[string]string{"app": "cart"}})
		})
	})
}

// drained says what is wrong with the end of a drain of the busy node.
func drained(t *testing.T, s *kubetest.Server) error {
	t.Helper()
	c := s.Client(t, "look")
	pods, err := c.Pods(t.Context(), kube.PodFilter{Node: "w1"})
	if err != nil {
		return err
	}
	var names []string
	for _, p := range pods {
		names = append(names, p.Name)
	}
	n, err := c.Node(t.Context(), "w1")
	if err != nil {
		return err
	}
	if diff := gocmp.Diff([]string{"agent", "etcd"}, names); diff != "" || !n.Unschedulable || n.CordonedBy() != run+"/"+path {
		return fmt.Errorf("cordoned %v by %q, pods %s", n.Unschedulable, n.CordonedBy(), diff)
	}
	again, err := c.Pods(t.Context(), kube.PodFilter{Node: "w2"})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(again, func(p kube.Pod) bool { return p.Terminating }) {
		return fmt.Errorf("pods that came back elsewhere were evicted again: %v", again)
	}
	return nil
}

// A drain cordons, evicts every pod once, holds the budget, and names what it waits for with the numbers.
func TestDrainFromBeginningToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		busy(s)
		st := step(t, s, "node.drain")
		done, err := play(t.Context(), st, 5*time.Second)
		if err == nil || !strings.Contains(err.Error(), "shop/cart-1 waits: PDB shop/cart allows 0 (1 healthy, needs 1)") {
			t.Errorf("after five seconds: %v", err)
		}
		more, err := play(t.Context(), st, time.Minute)
		if err != nil {
			t.Error(err)
		}
		want := []string{"cordon", "evict its pods shop/cart-0", "evict its pods shop/web", "evict its pods shop/cart-1"}
		if diff := gocmp.Diff(want, append(done, more...)); diff != "" {
			t.Error(diff)
		}
		if err := drained(t, s); err != nil {
			t.Error(err)
		}
		// One cordon and three evictions, and cart-1 was refused for 23 s before: at once, and 5 and 15 s later.
		if writes := s.Writes(); len(writes) != 7 {
			t.Errorf("writes: %v", writes)
		}
	})
}

// No pod is evicted while nobody leads a component that an evicted pod needs. A lease that was renewed of late is a sign
// of life, and so is one that changes, by whatever clock.
func TestDrainWaitsForLeaders(t *testing.T) {
	const manager, scheduler = "kube-controller-manager", "kube-scheduler"
	const waits = "not yet: nobody leads "
	for _, tt := range []struct {
		name         string
		holder       string
		first, again time.Duration // when the lease was renewed, at two looks; against our clock
		want, then   string
	}{
		{"renewed of late", "cp1_a", -2 * time.Second, -2 * time.Second, "", ""},
		{"died just now", "cp1_a", -6 * time.Second, -6 * time.Second, waits, waits},
		{"another has followed", "cp1_a", -14 * time.Second, 0, waits, ""},
		{"abandoned", "cp1_a", -time.Hour, -time.Hour, waits, "last renewed 1h0m ago"},
		{"given up", "", 0, 0, waits, waits},
		{"its clock is slow", "cp1_a", -time.Hour, -time.Hour + 2*time.Second, waits, ""},
		{"its clock is fast", "cp1_a", time.Hour, time.Hour + 2*time.Second, waits, ""},
		{"its clock is fast, and it died", "cp1_a", time.Hour, time.Hour, waits, waits},
	} {
		for _, component := range []string{manager, scheduler} {
			t.Run(tt.name+"/"+component, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, look := kubetest.New(), time.Now()
					s.SetNode(w1(true, run+"/"+path))
					s.SetPod(pod("a", "ReplicaSet"))
					s.SetLeader(manager, "cp1_a", look)
					s.SetLeader(scheduler, "cp1_a", look)
					st := step(t, s, "node.drain")
					for _, l := range []struct {
						renewed time.Duration
						want    string
					}{{tt.first, tt.want}, {tt.again, tt.then}} {
						s.SetLeader(component, tt.holder, look.Add(l.renewed))
						changes, err := st.Observe(t.Context(), scene(nil))
						switch {
						case l.want == "" && (err != nil || says(changes) != "evict its pods shop/a"):
							t.Errorf("%q, %v", says(changes), err)
						case l.want != "" && (err == nil || !strings.HasPrefix(err.Error(), waits+component) || !strings.Contains(err.Error(), l.want)):
							t.Errorf("%q, %v; want %q of %s", says(changes), err, l.want, component)
						}
					}
				})
			})
		}
	}
}

// The drain waits for the volumes of pods that left, by name, and not for those of pods that stay.
func TestDrainWaitsForVolumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		busy(s)
		s.Attach("pv-data", "w1", "shop/data")
		st := step(t, s, "node.drain")
		_, err := play(t.Context(), st, time.Minute)
		if err == nil || !strings.Contains(err.Error(), "still attached to w1: pv-data") || strings.Contains(err.Error(), "pv-agent") {
			t.Errorf("got %v", err)
		}
		s.Detach("pv-data")
		if _, err := play(t.Context(), st, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// Every request of a drain goes wrong once in every way; the node is drained all the same, and no pod twice.
func TestDrainSurvivesAFaultAtEveryRequest(t *testing.T) {
	for _, fault := range kubetest.Faults() {
		for nth := range 30 {
			t.Run(fmt.Sprintf("%s/%d", fault, nth), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := kubetest.New()
					busy(s)
					st := step(t, s, "node.drain")
					s.Fail(func(n int, _ *http.Request) kubetest.Fault {
						if n == nth {
							return fault
						}
						return kubetest.None
					})
					if _, err := play(t.Context(), st, 2*time.Minute); err != nil {
						t.Error(err)
					}
					s.Fail(nil)
					if err := drained(t, s); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A dry run announces what the real run then does, in the same words, and writes nothing.
func TestDryRunAnnouncesTheDrain(t *testing.T) {
	s := kubetest.New()
	busy(s)
	said := rehearse(t, step(t, s, "node.drain"), engine.Facts{})
	want := []string{"cordon", "evict its pods shop/cart-0", "evict its pods shop/cart-1", "evict its pods shop/web"}
	slices.Sort(said[1:])
	if diff := gocmp.Diff(want, said); diff != "" || len(s.Writes()) > 0 {
		t.Errorf("%s\nwrites %v", diff, s.Writes())
	}
}

// Two budgets on one pod are found before the node is cordoned.
func TestTwoBudgetsRefuse(t *testing.T) {
	s := kubetest.New()
	busy(s)
	s.SetBudget("shop", "all", 0, map[string]string{"app": "cart"})
	changes, err := step(t, s, "node.drain").Observe(t.Context(), scene(nil))
	var words string
	if err != nil {
		words = err.Error()
	}
	if len(changes) > 0 || !strings.Contains(words, "shop/cart-0 (shop/all, shop/cart)") || !strings.Contains(words, "shop/cart-1") {
		t.Errorf("got %q, %v", says(changes), err)
	}
	// What helps is told for each trouble that there is, and for no other.
	if strings.Contains(words, "say in the plan") || !strings.Contains(words, "selectors") {
		t.Errorf("advises %v", err)
	}
	s.SetPod(pod("bare", ""))
	if _, err := step(t, s, "node.drain").Observe(t.Context(), scene(nil)); err == nil || !strings.Contains(err.Error(), "say in the plan") || !strings.Contains(err.Error(), "selectors") {
		t.Errorf("advises %v", err)
	}
}

// A node that is gone has nothing to take back.
func TestUndoOfANodeThatIsGone(t *testing.T) {
	undo, ok := step(t, kubetest.New(), "node.drain").(engine.Undoer)
	if !ok {
		t.Fatal("node.drain is no Undoer")
	}
	if changes, err := undo.Undo(t.Context(), scene(nil)); err != nil || len(changes) > 0 {
		t.Errorf("%q, %v", says(changes), err)
	}
}

// A failed drain takes back its own cordon and no other.
func TestUndo(t *testing.T) {
	for by, say := range map[string]string{
		run + "/" + path: "uncordon, because the drain failed", run + "/cordon": "", "r2/" + path: "", "": "",
	} {
		s := kubetest.New()
		s.SetNode(w1(true, by))
		undo, ok := step(t, s, "node.drain").(engine.Undoer)
		if !ok {
			t.Fatal("node.drain is no Undoer")
		}
		changes, err := undo.Undo(t.Context(), scene(nil))
		if err != nil || says(changes) != say {
			t.Errorf("%q: %q, %v", by, says(changes), err)
		}
		for _, c := range changes {
			if err := c.Do(context.Background(), engine.Ticket{}); err != nil {
				t.Error(err)
			}
			if n, err := s.Client(t, "look").Node(t.Context(), "w1"); err != nil || n.Unschedulable || n.CordonedBy() != "" {
				t.Errorf("still %+v, %v", n, err)
			}
		}
	}
}

// Steps of groups in groups have long names: a drain knows its own cordon by all of them.
func TestUndoOfALongStep(t *testing.T) {
	long := scene(nil)
	long.Step = strings.Repeat("a-group-of-steps-with-a-long-name/", 5) + "drain"
	s := kubetest.New()
	s.SetNode(w1(true, long.Owner()))
	undo, ok := step(t, s, "node.drain").(engine.Undoer)
	if !ok {
		t.Fatal("node.drain is no Undoer")
	}
	if changes, err := undo.Undo(t.Context(), long); err != nil || len(changes) != 1 {
		t.Errorf("%q, %v", says(changes), err)
	}
}

// A Deployment may tolerate every taint (cilium-operator, tigera-operator, calico-typha), and is placed on the cordoned
// node again. Like kubectl drain, the step ends when the pods that it found are gone.
func TestDrainLeavesWhatToleratesTheCordon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(w1(false, ""))
		tolerates := func(p *kube.Pod) { p.Tolerates = true }
		s.SetPod(pod("operator-0", "ReplicaSet", tolerates))
		s.Linger(2 * time.Second)
		var evicted atomic.Int32
		s.OnEvict(func(kube.Pod) { // at once: a ReplicaSet does not wait for the end of the old one
			s.SetPod(pod(fmt.Sprintf("operator-%d", evicted.Add(1)), "ReplicaSet", tolerates))
		})
		if _, err := play(t.Context(), step(t, s, "node.drain"), 15*time.Minute); err != nil || evicted.Load() != 1 {
			t.Errorf("evicted %d times, %v", evicted.Load(), err)
		}
		synctest.Wait()
	})
}

// Only the volumes of pods that left hold the drain up: not those of pods that stay, and not what was left behind before, whether it
// hangs half detached or was never attached. The wait names the driver and what it says.
func TestDrainWaitsForNoStaleVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		busy(s)
		s.Attach("pv-stale", "w1", "")
		s.Attach("pv-data", "w1", "shop/data")
		st, learned := step(t, s, "node.drain"), engine.Facts{}
		if _, err := recalling(t.Context(), st, time.Minute, learned); err == nil || !strings.HasSuffix(err.Error(), "still attached to w1: pv-data (by csi)") {
			t.Errorf("got %v", err)
		}
		// A step that is begun again by a resume has forgotten which pods there were; the journal has not.
		if _, err := recalling(t.Context(), step(t, s, "node.drain"), time.Minute, learned); err == nil || !strings.HasSuffix(err.Error(), "still attached to w1: pv-data (by csi)") {
			t.Errorf("after a resume: %v", err)
		}
		s.Detach("pv-data")
		if _, err := recalling(t.Context(), st, time.Minute, learned); err != nil {
			t.Error(err)
		}
	})
}

// A finished pod that a finalizer holds, for weeks even, holds no drain up; one that still runs is waited for, and what may hold it is
// named once it is late. Where the kubelet is dead that is said, since nothing on the node ends without it.
func TestWhatHoldsAPod(t *testing.T) {
	held := func(p *kube.Pod) {
		p.Terminating, p.TerminatingSince, p.Finalizers = true, time.Now().Add(-time.Hour), []string{"example.org/hook"}
	}
	for _, tt := range []struct {
		name string
		node func(*kube.Node)
		pod  kube.Pod
		want string
	}{
		{"finished", nil, pod("job", "Job", held, finished), ""},
		{"finished, while its kubelet unmounts its volumes", nil, pod("job", "Job", terminating, finished, func(p *kube.Pod) { p.Grace = 30 * time.Second }), "not yet: shop/job is terminating for 2m"},
		{"finished long ago, as nobody has told", nil, pod("job", "Job", held, finished, func(p *kube.Pod) { p.Grace = 30 * time.Second }), ""},
		{"running", nil, pod("web", "ReplicaSet", held), "not yet: shop/web is terminating for 1h0m, and held by example.org/hook"},
		{"within its grace", nil, pod("web", "ReplicaSet", held, func(p *kube.Pod) { p.Grace = 2 * time.Hour }), "not yet: shop/web is terminating for 1h0m"},
		{"no kubelet", func(n *kube.Node) {
			n.Ready, n.ReadyReason, n.ReadySince = false, "NodeStatusUnknown", time.Now().Add(-5*time.Minute)
		}, pod("web", "ReplicaSet", terminating), "not yet: node w1 is NotReady for 5m (NodeStatusUnknown), and without its kubelet no pod on it ends; shop/web is terminating for 2m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := kubetest.New()
			n := w1(true, run+"/"+path)
			if tt.node != nil {
				tt.node(&n)
			}
			s.SetNode(n)
			s.SetPod(tt.pod)
			changes, err := step(t, s, "node.drain").Observe(t.Context(), scene(nil))
			if got := fmt.Sprint(err); len(changes) > 0 || (tt.want == "") != (err == nil) || err != nil && got != tt.want {
				t.Errorf("%q, %v", says(changes), err)
			}
		})
	}
}

// The volumes of a pod whose eviction ended its process are waited for by the next one, though the pod is gone when that first looks.
func TestDrainWaitsForVolumesAcrossAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(w1(false, ""))
		s.SetPod(pod("db-0", "StatefulSet", func(p *kube.Pod) { p.Claims = []string{"data"} }))
		s.Attach("pv-data", "w1", "shop/data")
		ctx, kill := context.WithCancel(t.Context())
		s.OnEvict(func(kube.Pod) { kill() })
		learned := engine.Facts{}
		if _, err := recalling(ctx, step(t, s, "node.drain"), time.Minute, learned); err == nil {
			t.Fatal("it was not killed")
		}
		_, err := recalling(t.Context(), step(t, s, "node.drain"), time.Minute, learned)
		if err == nil || !strings.HasSuffix(err.Error(), "still attached to w1: pv-data (by csi)") {
			t.Errorf("got %v", err)
		}
	})
}

// A pod that would be refused, and that somebody makes on the node while it is drained, as kubectl debug does, ends no drain.
func TestAPodToDebugTheNodeStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		busy(s)
		time.AfterFunc(10*time.Second, func() { s.SetPod(pod("node-debugger", "")) })
		if _, err := play(t.Context(), step(t, s, "node.drain"), time.Minute); err != nil {
			t.Error(err)
		}
		s.RemovePod("shop", "node-debugger")
		if err := drained(t, s); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}
