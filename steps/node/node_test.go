package node_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/node"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

const run, path = "r1", "workers/drain"

func step(t *testing.T, s *kubetest.Server, kind string) engine.Step {
	t.Helper()
	return stepOn(t, s, kind, "boot boot-1\n", "")
}

// stepOn is a step, of these settings, on a host that answers so.
func stepOn(t *testing.T, s *kubetest.Server, kind, answer, with string) engine.Step {
	t.Helper()
	hosts := remotetest.One("w1", &remotetest.Host{Answer: remotetest.Says(answer)})
	return enginetest.Made(t, enginetest.Kind(t, node.Kinds(s.Client(t, run), hosts), kind), with)
}

func scene(expect engine.Facts) engine.Scene {
	return engine.Scene{
		Target: engine.Target{Name: "w1"}, Expect: expect, Run: run, Step: path, Now: time.Now(), Since: time.Now(),
	}
}

// says is the words of changes, with what they are about.
func says(changes []engine.Change) string {
	var words []string
	for _, c := range changes {
		w := c.Say
		if c.Of != "" {
			w += " " + c.Of
		}
		if c.If != "" {
			w += " (" + c.If + ")"
		}
		words = append(words, w)
	}
	return strings.Join(words, "; ")
}

// play does what the engine does: look, change all, look again, until nothing is left or the time is over. It returns
// what was done.
func play(ctx context.Context, st engine.Step, limit time.Duration) (done []string, last error) {
	return recalling(ctx, st, limit, engine.Facts{})
}

// recalling is play by a run that has learned this so far, and goes on to learn, until ctx kills it.
func recalling(ctx context.Context, st engine.Step, limit time.Duration, learned engine.Facts) (done []string, last error) {
	start := time.Now()
	for time.Since(start) < limit {
		now := scene(nil)
		now.Known = learned
		changes, err := st.Observe(ctx, now)
		if err == nil && len(changes) == 0 {
			return done, nil
		}
		for _, c := range changes {
			told := maps.Clone(c.Then)
			maps.Copy(learned, c.Tried)
			deed := c.Do(ctx, engine.Ticket{ID: "t", Out: io.Discard, Learn: func(f engine.Facts) { maps.Copy(told, f) }})
			if ctx.Err() != nil {
				return done, ctx.Err() // killed: nobody records what came of it
			}
			if deed == nil {
				maps.Copy(learned, told)
				done = append(done, says([]engine.Change{c}))
			}
			err = cmp.Or(err, deed)
		}
		var notYet *engine.NotYetError
		var transient *engine.TransientError
		var doubt *engine.InDoubtError
		if err != nil && !errors.As(err, &notYet) && !errors.As(err, &transient) && !errors.As(err, &doubt) {
			return done, err
		}
		last = err
		time.Sleep(time.Second)
	}
	return done, fmt.Errorf("timed out: %w", last)
}

// rehearse does what a dry run does: look, promise, look again.
func rehearse(t *testing.T, st engine.Step, expect engine.Facts) []string {
	t.Helper()
	var said []string
	for range 5 {
		changes, err := st.Observe(t.Context(), scene(expect))
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			return said
		}
		for _, c := range changes {
			said = append(said, says([]engine.Change{c}))
			for k, v := range c.Then {
				expect[k] = v
			}
		}
	}
	t.Fatalf("no end: %v", said)
	return nil
}

func w1(cordoned bool, by string) kube.Node {
	n := kube.Node{Name: "w1", UID: "u1", Ready: true, Unschedulable: cordoned, KubeletVersion: "1.28.15"}
	if by != "" {
		n.Annotations = map[string]string{kube.CordonedBy: by}
	}
	return n
}

// A world, and what each kind has to say about it.
func TestWorldToChanges(t *testing.T) {
	const mine, others = run + "/workers/drain", "r2/x"
	for _, tt := range []struct {
		kind   string
		world  *kube.Node
		expect engine.Facts
		says   string
		err    string
	}{
		{"node.cordon", new(w1(false, "")), nil, "cordon", ""},
		{"node.cordon", new(w1(true, mine)), nil, "", ""},
		{"node.cordon", new(w1(true, "")), nil, "", ""},
		{"node.cordon", new(w1(false, others)), nil, "cordon", ""},
		{"node.cordon", new(w1(false, mine)), nil, "", "uncordoned by somebody else"},
		{"node.cordon", new(w1(false, "")), engine.Facts{"cordoned@w1": "true"}, "", ""},
		{"node.cordon", nil, nil, "", `no node "w1"`},

		{"node.uncordon", new(w1(true, mine)), nil, "uncordon", ""},
		{"node.uncordon", new(w1(true, run+"/another/step")), nil, "uncordon", ""},
		{"node.uncordon", new(w1(true, "")), nil, "", ""},
		{"node.uncordon", new(w1(true, others)), nil, "", ""},
		{"node.uncordon", new(w1(false, "")), nil, "", ""},
		{"node.uncordon", new(w1(false, mine)), nil, "take the mark off the node, which somebody else uncordoned", ""},
		{"node.uncordon", new(w1(false, "")), engine.Facts{"cordoned@w1": "true"}, "uncordon", ""},
		{"node.uncordon", new(w1(true, mine)), engine.Facts{"cordoned@w1": "false"}, "", ""},

		{"node.drain", new(w1(false, "")), nil, "cordon", ""},
		{"node.drain", new(w1(true, mine)), nil, "", ""},
		{"node.drain", new(w1(true, "")), nil, "", ""},
		{"node.drain", new(w1(false, mine)), nil, "", "uncordoned by somebody else"},
		{"node.drain", new(w1(false, "")), engine.Facts{"cordoned@w1": "true"}, "evict its pods (known after the nodes before it are drained)", ""},
		{"node.drain", new(w1(false, "")), engine.Facts{"drained@w1": "true"}, "", ""},
		{"node.drain", nil, nil, "", `no node "w1"`},
	} {
		name := tt.kind
		if tt.world != nil {
			name = fmt.Sprintf("%s/%v/%s/%v", tt.kind, tt.world.Unschedulable, tt.world.CordonedBy(), tt.expect)
		}
		t.Run(name, func(t *testing.T) {
			s := kubetest.New()
			if tt.world != nil {
				s.SetNode(*tt.world)
			}
			changes, err := step(t, s, tt.kind).Observe(t.Context(), scene(tt.expect))
			if got := says(changes); got != tt.says {
				t.Errorf("says %q, want %q", got, tt.says)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if writes := s.Writes(); len(writes) > 0 {
				t.Errorf("looking wrote %v", writes)
			}
		})
	}
}

// A node that was there when the run began is not a name that somebody mistyped: each step says so, and how to go on.
func TestANodeThatIsGone(t *testing.T) {
	for _, kind := range []string{"node.cordon", "node.drain", "node.ready", "node.uncordon"} {
		sc := scene(nil)
		sc.Known = engine.Facts{"kubelet@w1": "1.27.3"} // which a host may have that is no node
		_, err := step(t, kubetest.New(), kind).Observe(t.Context(), sc)
		enginetest.Expect(t, err, "", `the cluster has no node "w1"`)
		sc.Known = engine.Facts{"node@w1": "true"}
		_, err = step(t, kubetest.New(), kind).Observe(t.Context(), sc)
		enginetest.Expect(t, err, "", "node w1 was there when this run began and is gone since; have it join again and `upgrader resume r1`; or go on without it: take it out of the inventory, then `upgrader resume r1 --accept-plan-change --settle w1=done`")
	}
}

// running is what a host says whose kubelet has been running for so long, by a clock that is off by some time.
func running(ago, off time.Duration) string {
	at := time.Now().Add(off).UTC()
	return fmt.Sprintf("boot boot-1\nnow %d\nLoadState=loaded\nActiveState=active\nExecMainStartTimestamp=%s\n",
		at.Unix(), at.Add(-ago).Format("Mon 2006-01-02 15:04:05 MST"))
}

// Ready alone is not enough: the version must be there, the kubelet alive, and Ready for long enough.
func TestReady(t *testing.T) {
	none := func(*kube.Node) {}
	for _, tt := range []struct {
		name   string
		change func(*kube.Node)
		ran    time.Duration // since when the kubelet has been running
		lease  time.Duration // ago; -1: there is none
		off    time.Duration // the clock of the host
		expect engine.Facts
		err    string
	}{
		{"all well", none, time.Hour, 9 * time.Second, 0, nil, ""},
		{"just started", none, 0, 0, 0, nil, "not yet: the kubelet of w1 runs, but not for 30s yet"},
		{"started a while ago", none, 30 * time.Second, 0, 0, nil, ""},
		{"all well by another clock", none, time.Hour, 9 * time.Second, time.Hour, nil, ""},
		{"the old kubelet", func(n *kube.Node) { n.KubeletVersion = "1.27.3" }, time.Hour, 0, 0, nil, "not yet: the kubelet of w1 reports version 1.27.3, not 1.28.15"},
		{"a kubelet of its own", func(n *kube.Node) { n.KubeletVersion = "1.28.x-custom" }, time.Hour, 0, 0, nil, "not yet: the kubelet of w1 reports version 1.28.x-custom, not 1.28.15"},
		{"a kubelet of no version", func(n *kube.Node) { n.KubeletVersion = "" }, time.Hour, 0, 0, nil, "not yet: the kubelet of w1 reports no version, not 1.28.15"},
		{"not Ready", func(n *kube.Node) { n.Ready, n.ReadyReason = false, "KubeletNotReady" }, time.Hour, 0, 0, nil, "not yet: node w1 is NotReady for 1h0m (KubeletNotReady)"},
		{"Ready, but stale", none, time.Hour, 41 * time.Second, 0, nil, "not yet: the kubelet of w1 last renewed its lease 40s ago"},
		{"stale by another clock", none, time.Hour, 41 * time.Second, -time.Hour, nil, "not yet: the kubelet of w1 last renewed its lease 40s ago"},
		{"the lease of the kubelet before", none, 5 * time.Second, 9 * time.Second, 0, nil, "not yet: the kubelet of w1 has given no sign of life since it was started a few seconds ago"},
		{"rebooted", func(n *kube.Node) { n.BootID = "boot-0" }, time.Hour, 0, 0, nil, "not yet: w1 has rebooted, and what the cluster says of it is from before"},
		{"no lease", none, time.Hour, -1, 0, nil, "not yet: the kubelet of w1 has no lease"},
		{"Ready for a moment", func(n *kube.Node) { n.ReadySince = time.Now().Add(-3 * time.Second) }, time.Hour, 0, 0, nil, "not yet: node w1 is Ready, but not for 30s yet"},
		{"promised", func(n *kube.Node) { n.KubeletVersion = "1.27.3" }, time.Hour, 0, 0, engine.Facts{"kubelet@w1": "1.28.15"}, ""},
		{"promised another", none, time.Hour, 0, 0, engine.Facts{"kubelet@w1": "1.28.14"}, "will be 1.28.14"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := kubetest.New()
				n := w1(false, "")
				n.ReadySince, n.BootID = time.Now().Add(-time.Hour), "boot-1"
				tt.change(&n)
				s.SetNode(n)
				if tt.lease != -1 {
					s.SetNodeLease("w1", time.Now().Add(tt.off-tt.lease))
				}
				st := stepOn(t, s, "node.ready", running(tt.ran, tt.off), "{version: v1.28.15, stableFor: 30s}")
				changes, err := st.Observe(t.Context(), scene(tt.expect))
				if len(changes) > 0 {
					t.Errorf("changes: %s", says(changes))
				}
				if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
			})
		})
	}
}

// A kubelet that is not running is told as systemd tells it, whatever the cluster still believes.
func TestReadyAsksForAKubeletThatRuns(t *testing.T) {
	s := kubetest.New()
	n := w1(false, "")
	n.ReadySince, n.BootID = time.Now().Add(-time.Hour), "boot-1"
	s.SetNode(n)
	s.SetNodeLease("w1", time.Now())
	down := strings.Replace(running(0, 0), "=active", "=activating", 1)
	_, err := stepOn(t, s, "node.ready", down, "").Observe(t.Context(), scene(nil))
	enginetest.Expect(t, err, "the kubelet of w1 does not run: systemd says activating", "")
	_, err = stepOn(t, s, "node.ready", running(0, 0)+"ExecMainStartTimestamp=yesterday\n", "").Observe(t.Context(), scene(nil))
	if err == nil || !strings.Contains(err.Error(), `the time "yesterday" is not understood`) {
		t.Error(err)
	}
}

// Where systemd does not know the kubelet, a renewal seen with one's own eyes counts.
func TestReadyByARenewalSeen(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := kubetest.New()
			n := w1(false, "")
			n.ReadySince, n.BootID = time.Now().Add(-2*time.Hour), "boot-1"
			s.SetNode(n)
			s.SetNodeLease("w1", time.Now().Add(skew))
			st := stepOn(t, s, "node.ready", "boot boot-1\nnow 946684800\nLoadState=not-found\nActiveState=inactive\nExecMainStartTimestamp=\n", "")
			if _, err := st.Observe(t.Context(), scene(nil)); err == nil {
				t.Errorf("a lease %s off was believed at first sight", skew)
			}
			s.SetNodeLease("w1", time.Now().Add(skew+10*time.Second))
			if _, err := st.Observe(t.Context(), scene(nil)); err != nil {
				t.Errorf("a lease %s off was renewed, and yet: %v", skew, err)
			}
		})
	}
}

func TestKindsAreComplete(t *testing.T) {
	kinds := node.Kinds(nil, nil)
	if _, err := engine.NewCatalog(kinds...); err != nil {
		t.Error(err)
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
		if _, err := enginetest.Make(k, ""); err != nil {
			t.Errorf("%s: its defaults are not valid: %v", k.Name, err)
		}
	}
	if want := []string{"node.cordon", "node.drain", "node.ready", "node.uncordon"}; !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
	for _, with := range []string{"gracePeriod: -1s", "podSelector: a in ("} {
		if _, err := enginetest.Make(enginetest.Kind(t, kinds, "node.drain"), with); err == nil {
			t.Errorf("%s is taken", with)
		}
	}
}
