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

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// returning is a cordonable node to which a ReplicaSet's pod comes back half a second after every eviction, since its template names the
// node, and beside it three pods of a Deployment that go elsewhere. It counts the evictions of the first.
func returning() (*kubetest.Server, *atomic.Int32) {
	s := kubetest.New()
	s.SetNode(w1(false, ""))
	for i := range 3 {
		s.SetPod(pod(fmt.Sprintf("web-%d", i), "ReplicaSet", func(p *kube.Pod) { p.Owner = "web" }))
	}
	s.SetPod(pod("pinned-0", "ReplicaSet"))
	evicted := &atomic.Int32{}
	s.OnEvict(killing(s, evicted, func() {}))
	return s, evicted
}

// killing is the controller of the pod that comes back, which kills who has evicted it.
func killing(s *kubetest.Server, evicted *atomic.Int32, kill func()) func(p kube.Pod) {
	return func(p kube.Pod) {
		if !strings.HasPrefix(p.Name, "pinned") {
			return
		}
		next := fmt.Sprintf("pinned-%d", evicted.Add(1))
		time.AfterFunc(500*time.Millisecond, func() { s.SetPod(pod(next, "ReplicaSet")) })
		kill()
	}
}

// A pod whose owner places it on the node in spite of the cordon is evicted twice and then left; who reads the record is told by whom.
func TestDrainGivesUpOnWhatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, evicted := returning()
		done, err := play(t.Context(), step(t, s, "node.drain"), time.Minute)
		if err != nil || evicted.Load() != 2 {
			t.Errorf("evicted %d times, %v", evicted.Load(), err)
		}
		const left = "leave pods that came back after 2 evictions in spite of the cordon shop/pinned-2, which ReplicaSet o places here by its nodeName or by a scheduler of its own"
		if !slices.Contains(done, left) {
			t.Errorf("%q", done)
		}
		synctest.Wait()
	})
}

// Whenever a run is interrupted and resumed, with a step that remembers nothing but what the journal has, there are two
// evictions at most, and the other pods of the node are not taken for such that come back.
func TestDrainGivesUpAcrossResumes(t *testing.T) {
	for every := 1; every <= 6; every++ {
		t.Run(fmt.Sprintf("every %ds", every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, evicted := returning()
				learned := engine.Facts{}
				var all []string
				for range 30 {
					done, err := recalling(t.Context(), step(t, s, "node.drain"), time.Duration(every)*time.Second, learned)
					all = append(all, done...)
					if err == nil {
						break
					}
				}
				synctest.Wait()
				if said := strings.Join(all, "; "); evicted.Load() > 2 || strings.Count(said, "leave pods") > 1 || strings.Count(said, "evict its pods shop/web") != 3 {
					t.Errorf("evicted %d times: %s", evicted.Load(), said)
				}
			})
		})
	}
}

// A process that is killed while an eviction is under way has recorded that it began it, and nothing of what came of it: neither for the
// one after it nor for the one after that are there more than two evictions.
func TestDrainGivesUpAcrossKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, evicted := returning()
		learned := engine.Facts{}
		for range 10 {
			ctx, kill := context.WithCancel(t.Context())
			before := evicted.Load()
			s.OnEvict(killing(s, evicted, func() { kill() }))
			_, err := recalling(ctx, step(t, s, "node.drain"), time.Minute, learned)
			kill()
			time.Sleep(time.Second) // it comes back
			if err == nil && evicted.Load() == before {
				break
			}
		}
		if evicted.Load() != 2 || learned["left.shop/ReplicaSet/o@w1"] == "" {
			t.Errorf("evicted %d times; known is %v", evicted.Load(), learned)
		}
	})
}

// One of a set's pods that a budget keeps for ever is asked for again and again, and that does not make the others, which come back, new.
func TestDrainGivesUpOnWhatComesBackBesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(w1(false, ""))
		s.SetPod(pod("a-0", "ReplicaSet"))
		s.SetPod(pod("kept", "ReplicaSet"))
		s.SetBudget("shop", "kept", 1, map[string]string{"app": "kept"})
		var evicted atomic.Int32
		s.OnEvict(func(kube.Pod) {
			n := evicted.Add(1)
			time.AfterFunc(min(breath<<(n-1), leisure)-500*time.Millisecond, func() { s.SetPod(pod(fmt.Sprintf("a-%d", n), "ReplicaSet")) })
		})
		_, err := play(t.Context(), step(t, s, "node.drain"), 5*time.Minute)
		if err == nil || !strings.Contains(err.Error(), "shop/kept waits") || evicted.Load() != 2 {
			t.Errorf("evicted %d times, %v", evicted.Load(), err)
		}
		synctest.Wait()
	})
}

// breath and leisure are the pauses between two requests for a pod that a budget keeps, at first and at most.
const breath, leisure = 5 * time.Second, 30 * time.Second

// A drain that failed has uncordoned the node; pods that were placed there since are no comeback, however often that happens.
func TestAnotherCordonBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		learned := engine.Facts{}
		for round := range 5 {
			s.SetNode(w1(false, ""))
			s.SetPod(pod(fmt.Sprintf("web-%d", round), "ReplicaSet"))
			done, err := recalling(t.Context(), step(t, s, "node.drain"), time.Minute, learned)
			if err != nil || !slices.Contains(done, fmt.Sprintf("evict its pods shop/web-%d", round)) {
				t.Errorf("%q, %v", done, err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A budget that allows nothing is asked all the same: whoever writes it may act on the request alone, as the operators of virtual
// machines and brokers do. How often is bounded.
func TestDrainAsksWhateverTheBudgetSays(t *testing.T) {
	for name, tt := range map[string]struct {
		after time.Duration // from the first request until the operator has moved the pod
		most  int
	}{
		"some seconds": {8 * time.Second, 3}, "minutes": {10 * time.Minute, 25},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := kubetest.New()
				s.SetNode(w1(false, ""))
				s.SetPod(pod("vm", "VirtualMachineInstance"))
				s.SetBudget("shop", "vm", 1, map[string]string{"app": "vm"})
				var asked atomic.Int32
				s.OnRefuse(func(p kube.Pod) {
					if asked.Add(1) == 1 {
						time.AfterFunc(tt.after, func() { s.RemovePod(p.Namespace, p.Name) })
					}
				})
				if _, err := play(t.Context(), step(t, s, "node.drain"), 15*time.Minute); err != nil || asked.Load() < 1 || int(asked.Load()) > tt.most {
					t.Errorf("asked %d times, %v", asked.Load(), err)
				}
				synctest.Wait()
			})
		})
	}
}

// Pods that admission does not let go are asked for as seldom as those that a budget keeps, and all are named all the time with what it
// said; one that its budget kept for a moment is asked for as soon as that allows it.
func TestDrainAsksAdmissionNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(w1(false, ""))
		for i := range 3 {
			s.SetPod(pod(fmt.Sprintf("web-%d", i), "ReplicaSet"))
		}
		began, asked := time.Now(), atomic.Int32{}
		s.Admit(func(r *http.Request) kubetest.Admission {
			if asked.Add(1); !strings.HasSuffix(r.URL.Path, "/eviction") || time.Since(began) > 10*time.Minute {
				return kubetest.Admission{}
			}
			return kubetest.Admission{Code: http.StatusForbidden, Reason: "Forbidden", Message: `admission webhook "open" denied the request: the shop is open`}
		})
		st := step(t, s, "node.drain")
		for range 10 { // whenever it is looked at
			_, err := play(t.Context(), st, 50*time.Second)
			for i := range 3 {
				if says := fmt.Sprintf(`shop/web-%d waits: admission webhook "open" denied the request: the shop is open`, i); err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v, want %s", err, says)
				}
			}
			time.Sleep(3 * time.Second)
		}
		if _, err := play(t.Context(), st, 5*time.Minute); err != nil || asked.Load() > 1+3*25 {
			t.Errorf("asked %d times, %v", asked.Load(), err)
		}
	})
}
