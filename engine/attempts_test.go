package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tries is a step that asks for one change until the step is over, and whose nth attempt, from 1 on, ends as do says.
func tries(repeat Repeat, over func(made int) error, do func(ctx context.Context, n int) error) Step {
	n := 0
	return stepFunc(func(context.Context, Scene) ([]Change, error) {
		if err := over(n); !errors.Is(err, errAskedFor) {
			return nil, err
		}
		return []Change{{Say: "evict", Of: "shop/cart-0", Repeat: repeat, Do: func(ctx context.Context, _ Ticket) error {
			n++
			return do(ctx, n)
		}}}, nil
	})
}

var errAskedFor = errors.New("it is asked for")

func always(int) error { return errAskedFor }

func runTries(t *testing.T, s Step) NodeStatus {
	t.Helper()
	asked := 0
	return start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": s}, Settler: counting{&asked}}).Nodes[0]
}

// An attempt of which nobody knows whether it was made is not counted as one that was: however many there are, the step goes
// on, with pauses between, and is done when the change is.
func TestAttemptsInDoubtAreNotCountedAsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const doubts = 4 * rounds
		n := runTries(t, tries(Convergent, func(made int) error {
			if made > doubts {
				return nil
			}
			return errAskedFor
		}, func(_ context.Context, n int) error {
			if n > doubts {
				return nil
			}
			return InDoubt(errors.New("etcdserver: leader changed"))
		}))
		if took := n.Ended.Sub(n.Started); n.State != Done || n.Effects != doubts+1 || took < 10*time.Second {
			t.Errorf("%s after %d attempts in %s: %s", n.State, n.Effects, took, n.Message)
		}
	})
}

// A step that ends tells what its latest attempt met, whatever it has waited for since; and nothing of a change that was made.
func TestAnEndTellsWhatTheLastAttemptMet(t *testing.T) {
	terminating := func(made int) error {
		if made > 0 {
			return NotYet("shop/cart-0 is terminating")
		}
		return errAskedFor
	}
	lost := InDoubt(errors.New("etcdserver: leader changed"))
	looked := 0
	for _, tt := range []struct {
		name string
		step Step
		says string
	}{
		{"in doubt to the end", tries(Convergent, always, func(context.Context, int) error { return lost }),
			"timed out after 1m0s, still waiting: evict: outcome unknown: etcdserver: leader changed"},
		{"in doubt, and then only to wait for", tries(Convergent, terminating, func(context.Context, int) error { return lost }),
			"timed out after 1m0s, still waiting: shop/cart-0 is terminating; the last attempt: evict: outcome unknown: etcdserver: leader changed"},
		{"made, and then only to wait for", tries(Convergent, terminating, func(context.Context, int) error { return nil }),
			"timed out after 1m0s, still waiting: shop/cart-0 is terminating"},
		{"in doubt, made, and then only to wait for", tries(Convergent, func(made int) error { return terminating(made - 1) }, func(_ context.Context, n int) error {
			if n == 1 {
				return lost
			}
			return nil
		}), "timed out after 1m0s, still waiting: shop/cart-0 is terminating"},
		{"refused, and cut off at the end", tries(Convergent, always, func(ctx context.Context, n int) error {
			if n == 1 {
				return NotYet(`shop/cart-0 waits: admission webhook "open" denied the request`)
			}
			<-ctx.Done()
			return InDoubt(context.Cause(ctx))
		}), `timed out after 1m0s, still waiting: shop/cart-0 waits: admission webhook "open" denied the request`},
		{"lost on the way, and then only to wait for", tries(Convergent, terminating, func(context.Context, int) error { return Transient(errors.New("connection refused")) }),
			"timed out after 1m0s, still waiting: shop/cart-0 is terminating; the last attempt: evict: connection refused"},
		{"looking failed, and then only to wait for", stepFunc(func(context.Context, Scene) ([]Change, error) {
			if looked++; looked == 1 {
				return nil, Transient(errors.New("reading the pods: connection refused"))
			}
			return nil, NotYet("shop/cart-0 is terminating")
		}), "timed out after 1m0s, still waiting: shop/cart-0 is terminating"},
		{"made again and again", tries(Convergent, always, func(_ context.Context, n int) error {
			if n == rounds {
				return lost
			}
			return nil
		}), `did not converge: "evict shop/cart-0" was done 5 times and is still to be done`},
		{"known by its host to be made again and again", tries(Guarded, always, func(context.Context, int) error { return lost }),
			`did not converge: "evict shop/cart-0" was done 5 times and is still to be done`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if n := runTries(t, tt.step); n.State != Failed || n.Message != tt.says {
					t.Errorf("%s:\n%s, want\n%s", n.State, n.Message, tt.says)
				}
			})
		})
	}
}

// undoing is a step that failed, and whose undoing is refused for now, for ever.
type undoing struct{}

func (undoing) Observe(context.Context, Scene) ([]Change, error) { return nil, errors.New("broken") }

func (undoing) Undo(context.Context, Scene) ([]Change, error) {
	return []Change{{Say: "uncordon", Repeat: Convergent, Do: func(context.Context, Ticket) error { return NotYet("the webhook is away") }}}, nil
}

// What could not be taken back says for how long that was tried, and what stood in its way.
func TestAnUndoingThatWaitsInVainSaysHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := one("x", func(n *Node) { n.Timeout = time.Hour })
		n := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": undoing{}}}).Nodes[0]
		const says = "broken\nand it could not be taken back: timed out after 1m0s, still waiting: the webhook is away"
		if took := n.Ended.Sub(n.Started); n.Message != says || took != time.Minute {
			t.Errorf("after %s: %s\nwant %s", took, n.Message, says)
		}
	})
}

// Several refusals are told in one order, so that a reason which stays the same is recorded once.
func TestRefusalsAreToldInOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, round := newWorld(), 0
		log := &memory{w: w}
		start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": stepFunc(func(context.Context, Scene) (changes []Change, _ error) {
			round++
			for i, pod := range []string{"a", "b", "c"} {
				changes = append(changes, Change{Say: "evict", Of: pod, Repeat: Convergent, Do: func(context.Context, Ticket) error {
					time.Sleep(time.Duration((i+round)%3+1) * time.Millisecond) // who answers first is another one each time
					return NotYet("%s waits", pod)
				}})
			}
			return changes, nil
		})}})
		var waits []string
		for _, rec := range log.records {
			if rec.Kind == "wait" {
				waits = append(waits, rec.Why)
			}
		}
		if got := strings.Join(waits, "\n"); got != "a waits; b waits; c waits" || round < 10 {
			t.Errorf("%d rounds:\n%s", round, got)
		}
	})
}
