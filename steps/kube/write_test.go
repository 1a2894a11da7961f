package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// A cordon and its mark come and go together, and only the own one: each row is a node before and after.
func TestCordonsAreOwned(t *testing.T) {
	const mine, other = "r1/workers/drain", "r2/workers/drain"
	cordon := func(c *kube.Client) error { return c.Cordon(context.Background(), "w1", mine) }
	uncordon := func(c *kube.Client) error { return c.Uncordon(context.Background(), "w1", "r1/workers/uncordon") }
	for _, tt := range []struct {
		name    string
		before  state
		do      func(*kube.Client) error
		after   state
		failure string
	}{
		{"cordon a free node", state{}, cordon, state{true, mine}, ""},
		{"cordon again", state{true, mine}, cordon, state{true, mine}, ""},
		{"a cordon by hand is not taken over", state{true, ""}, cordon, state{true, ""}, ""},
		{"another run's cordon is not taken over", state{true, other}, cordon, state{true, other}, ""},
		{"another run's stale mark is replaced", state{false, other}, cordon, state{true, mine}, ""},
		{"somebody uncordoned it under us", state{false, mine}, cordon, state{false, mine}, "uncordoned by somebody else"},
		{"uncordon our own", state{true, mine}, uncordon, state{}, ""},
		{"uncordon what is not cordoned", state{}, uncordon, state{}, ""},
		{"clear a mark without a cordon", state{false, mine}, uncordon, state{}, ""},
		{"leave a cordon by hand", state{true, ""}, uncordon, state{true, ""}, "cordoned by hand"},
		{"leave another run's cordon", state{true, other}, uncordon, state{true, other}, "upgrader resume r2"},
		{"a run whose name begins alike is another", state{true, "r11/x"}, uncordon, state{true, "r11/x"}, "resume r11"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := kubetest.New()
			tt.before.set(s)
			err := tt.do(s.Client(t, "r1"))
			if got := look(t, s); got != tt.after {
				t.Errorf("the node is %+v, want %+v", got, tt.after)
			}
			if (err != nil) != (tt.failure != "") || err != nil && !strings.Contains(err.Error(), tt.failure) {
				t.Errorf("got %v", err)
			}
		})
	}
}

type state struct {
	cordoned bool
	by       string
}

func (st state) set(s *kubetest.Server) {
	n := kube.Node{Name: "w1", UID: "u1", Ready: true, Unschedulable: st.cordoned}
	if st.by != "" {
		n.Annotations = map[string]string{kube.CordonedBy: st.by}
	}
	s.SetNode(n)
}

func look(t *testing.T, s *kubetest.Server) state {
	t.Helper()
	n, err := s.Client(t, "look").Node(t.Context(), "w1")
	if err != nil {
		t.Fatal(err)
	}
	return state{n.Unschedulable, n.CordonedBy()}
}

// What somebody else does between our look and our patch is seen: it is not overwritten.
func TestCordonLosesRaces(t *testing.T) {
	for _, theirs := range []state{{true, ""}, {true, "r2/x"}} {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			state{}.set(s)
			raced := false
			s.Fail(func(_ int, r *http.Request) kubetest.Fault {
				if r.Method == http.MethodPatch && !raced {
					raced = true
					theirs.set(s)
				}
				return kubetest.None
			})
			if err := s.Client(t, "r1").Cordon(t.Context(), "w1", "r1/x"); err != nil || !raced {
				t.Errorf("got %v, raced %v", err, raced)
			}
			if got := look(t, s); got != theirs {
				t.Errorf("the node is %+v, want %+v", got, theirs)
			}
		})
	}
}

type writeCase struct {
	name  string
	setup func(*kubetest.Server)
	do    func(context.Context, *kube.Client) error
	right func(*testing.T, *kubetest.Server) error
}

// check has the nth request go wrong.
func (tt writeCase) check(t *testing.T, nth int, fault kubetest.Fault) {
	s := kubetest.New()
	tt.setup(s)
	c := s.Client(t, "r1")
	s.Fail(func(n int, _ *http.Request) kubetest.Fault {
		if n == nth {
			return fault
		}
		return kubetest.None
	})
	if err := tt.do(t.Context(), c); err != nil {
		t.Errorf("got %v", err)
	}
	s.Fail(nil)
	if err := tt.right(t, s); err != nil {
		t.Error(err)
	}
}

// Every request of every write goes wrong once in every way, and the end is right: the deed is done, and no deed is done
// twice over something new.
func TestWritesSurviveAFaultAtEveryRequest(t *testing.T) {
	const owner = "r1/drain"
	pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1"}
	for _, tt := range []writeCase{
		{"cordon", state{}.set,
			func(ctx context.Context, c *kube.Client) error { return c.Cordon(ctx, "w1", owner) },
			func(t *testing.T, s *kubetest.Server) error { return want(look(t, s), state{true, owner}) }},
		{"uncordon", state{true, owner}.set,
			func(ctx context.Context, c *kube.Client) error { return c.Uncordon(ctx, "w1", owner) },
			func(t *testing.T, s *kubetest.Server) error { return want(look(t, s), state{}) }},
		{"evict", func(s *kubetest.Server) {
			s.SetPod(pod)
			s.OnEvict(func(p kube.Pod) { // its StatefulSet makes a new one of the same name elsewhere at once
				s.SetPod(kube.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID + "'", Node: "w2"})
			})
		}, func(ctx context.Context, c *kube.Client) error {
			var notYet *engine.NotYetError
			for {
				if err := c.Evict(ctx, pod); !errors.As(err, &notYet) {
					return err
				}
			}
		}, func(t *testing.T, s *kubetest.Server) error {
			pods, err := s.Client(t, "look").Pods(t.Context(), kube.PodFilter{})
			if err != nil {
				return err
			}
			if len(pods) != 1 {
				return fmt.Errorf("want one pod, got %v", pods)
			}
			return want(pods[0].UID+"@"+pods[0].Node, "p1'@w2")
		}},
	} {
		for _, fault := range kubetest.Faults() {
			for nth := range 6 {
				t.Run(fmt.Sprintf("%s/%s/%d", tt.name, fault, nth), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { tt.check(t, nth, fault) })
				})
			}
		}
	}
}

func want[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// When every answer to a write is lost and nothing can be read back, nobody knows, and the error says so; when the
// server was never reached, it says that too.
func TestOutcomesAreNotGuessed(t *testing.T) {
	for fault, inDoubt := range map[kubetest.Fault]bool{kubetest.Reset: true, kubetest.Refused: false} {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			state{}.set(s)
			s.Fail(func(n int, _ *http.Request) kubetest.Fault {
				if n == 0 {
					return kubetest.None // the first look
				}
				return fault
			})
			err := s.Client(t, "r1").Cordon(t.Context(), "w1", "r1/x")
			var doubt *engine.InDoubtError
			var transient *engine.TransientError
			if errors.As(err, &doubt) != inDoubt || !inDoubt && !errors.As(err, &transient) {
				t.Errorf("%s: got %T %v", fault, err, err)
			}
		})
	}
}

type evictCase struct {
	name  string
	setup func(*kubetest.Server)
	gone  bool // the pod p1
	err   string
	kind  any
}

func (tt evictCase) check(t *testing.T, pod kube.Pod) {
	s := kubetest.New()
	tt.setup(s)
	c := s.Client(t, "r1")
	err := c.Evict(t.Context(), pod)
	if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
		t.Errorf("got %v", err)
	}
	if tt.kind != nil && !errors.As(err, tt.kind) {
		t.Errorf("got a %T", err)
	}
	s.Fail(nil)
	pods, err := c.Pods(t.Context(), kube.PodFilter{Node: "w1"})
	if err != nil || (len(pods) == 0) != tt.gone {
		t.Errorf("on the node: %v, %v", pods, err)
	}
}

// What the API server answers to an eviction, and what becomes of it.
func TestEvictions(t *testing.T) {
	app := map[string]string{"app": "cart"}
	pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1", Labels: app}
	for _, tt := range []evictCase{
		{"no budget", func(s *kubetest.Server) { s.SetPod(pod) }, true, "", nil},
		{"a budget with room", func(s *kubetest.Server) {
			s.SetPod(pod)
			s.SetBudget("shop", "cart", 0, app)
		}, true, "", nil},
		{"a budget without", func(s *kubetest.Server) {
			s.SetPod(pod)
			s.SetBudget("shop", "cart", 1, app)
		}, false, "shop/cart-0 waits: PDB shop/cart allows 0 (1 healthy, needs 1)", new(*kube.Blocked)},
		{"two budgets", func(s *kubetest.Server) {
			s.SetPod(pod)
			s.SetBudget("shop", "a", 0, app)
			s.SetBudget("shop", "b", 0, app)
		}, false, "shop/a, shop/b", nil},
		{"gone already", func(*kubetest.Server) {}, true, "", nil},
		{"another under its name", func(s *kubetest.Server) {
			again := pod
			again.UID, again.Node = "p2", "w2"
			s.SetPod(again)
		}, true, "", nil},
		{"another under its name on the same node", func(s *kubetest.Server) {
			again := pod
			again.UID = "p2"
			s.SetPod(again)
		}, false, "", nil},
		{"terminating already", func(s *kubetest.Server) {
			going := pod
			going.Terminating, going.TerminatingSince = true, time.Now()
			s.SetPod(going)
		}, false, "", nil},
		{"a busy server", func(s *kubetest.Server) {
			s.SetPod(pod)
			s.Fail(func(_ int, r *http.Request) kubetest.Fault {
				if r.Method == http.MethodPost {
					return kubetest.TooMany
				}
				return kubetest.None
			})
		}, false, "asks to come later", new(*engine.NotYetError)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.check(t, pod) })
		})
	}
}
