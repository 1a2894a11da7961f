package node_test

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// kept is a node with two pods of a StatefulSet whose budget never allows one to go, and another pod.
func kept() *kubetest.Server {
	s := kubetest.New()
	s.SetNode(w1(false, ""))
	behind := func(p *kube.Pod) { p.Labels, p.Owner = map[string]string{"app": "cart"}, "cart" }
	s.SetPod(pod("cart-0", "StatefulSet", behind))
	s.SetPod(pod("cart-1", "StatefulSet", behind))
	s.SetPod(pod("web", "ReplicaSet"))
	s.SetBudget("shop", "cart", 2, map[string]string{"app": "cart"})
	s.Linger(5 * time.Second)
	return s
}

// drainFor plays a drain whose time is twice as long as it takes to halfway, by a plan with this waiver. It returns what was done, with
// the seconds at which it was.
func drainFor(t *testing.T, s *kubetest.Server, w engine.Waiver, halfway time.Duration) (done map[string]int, ended bool) {
	t.Helper()
	st, begun, learned := step(t, s, "node.drain"), time.Now(), engine.Facts{}
	for done = map[string]int{}; time.Since(begun) < 2*halfway; time.Sleep(time.Second) {
		now := scene(nil)
		now.Known, now.Halfway, now.Waivers = learned, begun.Add(halfway), []engine.Waiver{w}
		changes, err := st.Observe(t.Context(), now)
		if err == nil && len(changes) == 0 {
			return done, true
		}
		for _, c := range changes {
			maps.Copy(learned, c.Tried)
			if c.Do(t.Context(), engine.Ticket{ID: "t", Out: io.Discard, Learn: func(engine.Facts) {}}) == nil {
				maps.Copy(learned, c.Then)
				done[strings.TrimSpace(c.Say+" "+c.Of)] = int(time.Since(begun) / time.Second)
			}
		}
	}
	return done, false
}

// In the second half of a drain's time, and no sooner, pods that a waiver of drain.delete names, by their own name or their controller's,
// and that their budget refuses, are deleted one after the other, in words that hold the waiver's reason. Without such a waiver, by one
// of another check, of another place, or after its last day, no pod is ever deleted.
func TestDeletionPastABudget(t *testing.T) {
	for _, tt := range []struct {
		name, check, where string
		lasts              time.Duration
		deleted            bool
	}{
		{"by the pods", "drain.delete", "shop/cart-*", time.Hour, true},
		{"by their controller", "drain.delete", "shop/cart", time.Hour, true},
		{"of a budget", "drain.budget", "PodDisruptionBudget shop/cart", time.Hour, false},
		{"of every budget", "drain.budget", "", time.Hour, false},
		{"everywhere, which no plan can say", "drain.delete", "", time.Hour, false},
		{"elsewhere", "drain.delete", "shop/web", time.Hour, false},
		{"ended", "drain.delete", "shop/cart-*", 30 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := kept()
			w := engine.Waiver{Check: tt.check, Where: tt.where, Reason: "CHG-4711", Until: time.Now().Add(tt.lasts)}
			done, ended := drainFor(t, s, w, time.Minute)
			first, one := done["delete past its budget, as the plan says (CHG-4711) shop/cart-0"]
			second, two := done["delete past its budget, as the plan says (CHG-4711) shop/cart-1"]
			if ended != tt.deleted || one != tt.deleted || two != tt.deleted {
				t.Errorf("%s: ended %v after %v", tt.name, ended, done)
			}
			if tt.deleted && (first < 60 || second < first+5) {
				t.Errorf("%s: deleted at %d s and %d s, want not before 60 s, and not both at once", tt.name, first, second)
			}
			if _, evicted := done["evict its pods shop/web"]; !evicted {
				t.Errorf("%s: %v", tt.name, done)
			}
			deletes := slices.DeleteFunc(s.Writes(), func(w string) bool { return !strings.HasPrefix(w, "DELETE ") })
			if (len(deletes) > 0) != tt.deleted || len(deletes) > 2 {
				t.Errorf("%s: %v", tt.name, deletes)
			}
		})
	}
}

// Where a budget lets a pod go once a replacement is Ready, only the first is deleted, and the other evicted.
func TestDeletionLetsTheBudgetGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kept()
		s.OnEvict(func(p kube.Pod) {
			for _, more := range []string{"", "-too"} { // more than before: its budget has one to spare
				s.SetPod(kube.Pod{Namespace: p.Namespace, Name: p.Name + more, UID: p.UID + more + "'", Node: "w2", Phase: "Running", Ready: true, OwnerKind: "StatefulSet", Owner: "cart", Labels: map[string]string{"app": "cart"}})
			}
		})
		w := engine.Waiver{Check: "drain.delete", Where: "shop/cart-*", Reason: "x", Until: time.Now().Add(time.Hour)}
		done, ended := drainFor(t, s, w, 2*time.Minute)
		if _, evicted := done["evict its pods shop/cart-1"]; !ended || !evicted {
			t.Errorf("ended %v after %v", ended, done)
		}
	})
}

// A pod that its budget does not keep is not deleted, however long its eviction is put off: here by a server that is busy.
func TestOnlyBudgetsHavePodsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kept()
		s.Fail(func(_ int, r *http.Request) kubetest.Fault {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/eviction") {
				return kubetest.TooMany
			}
			return kubetest.None
		})
		w := engine.Waiver{Check: "drain.delete", Where: "shop/web", Reason: "x", Until: time.Now().Add(time.Hour)}
		if done, ended := drainFor(t, s, w, time.Minute); ended || len(done) != 1 {
			t.Errorf("ended %v after %v", ended, done)
		}
	})
}
