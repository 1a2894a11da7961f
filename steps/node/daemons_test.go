package node_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

const kubeletRan = 2 * time.Minute // since the kubelet of these tests was replaced

// cni is a pod of a DaemonSet that has been running for an hour, with a driver beside it.
func cni() kube.Daemon {
	long := time.Now().Add(-time.Hour)
	return kube.Daemon{
		Pod:  kube.Pod{Namespace: "kube-system", Name: "cni-x7", Node: "w1", Owner: "cni", Ready: true},
		Made: long, Changed: long,
		Containers: []kube.Container{{Name: "main", Runs: long}, {Name: "driver", Runs: long}},
	}
}

// crashing has the container main restarted so often, and waiting for the next time.
func crashing(d *kube.Daemon, restarts int) {
	d.Ready, d.Changed = false, time.Now().Add(-10*time.Second)
	d.Containers[0] = kube.Container{Name: "main", Restarts: restarts, Last: "exit code 1: Error"}
	d.Ails = &kube.Complaint{Container: "main", Why: "CrashLoopBackOff", Says: "back-off 20s restarting failed container"}
}

// lives has the container main restarted so often: it ran for so long then, and has been running for so long now.
func lives(d *kube.Daemon, restarts int, lasted, runs time.Duration) {
	d.Containers[0] = kube.Container{Name: "main", Restarts: restarts, Last: "exit code 1: Error", Lasted: lasted, Runs: time.Now().Add(-runs)}
}

// onNode is a node on which all is well but what this pod is, or was when the run cordoned it.
func onNode(t *testing.T, d kube.Daemon) *kubetest.Server {
	t.Helper()
	s := kubetest.New()
	n := w1(false, "")
	n.ReadySince, n.BootID = time.Now().Add(-time.Hour), "boot-1"
	s.SetNode(n)
	s.SetNodeLease("w1", time.Now())
	s.SetDaemon(d)
	return s
}

// noteOf is what the journal has of a node since this run cordoned it.
func noteOf(t *testing.T, s *kubetest.Server, kind string, knows engine.Facts) engine.Facts {
	t.Helper()
	sc := scene(nil)
	sc.Known = knows
	changes, err := step(t, s, kind).Observe(t.Context(), sc)
	if err != nil || says(changes) != "cordon" {
		t.Fatalf("%s: %s, %v", kind, says(changes), err)
	}
	learned := engine.Facts{}
	ticket := engine.Ticket{ID: "t", Out: io.Discard, Learn: func(f engine.Facts) {
		for k, v := range f {
			learned[k] = v
		}
	}}
	if err := changes[0].Do(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	return learned
}

// A node is Ready while the pods that make it useful crash. Those that were well before its kubelet was replaced are waited
// for, and stop the step when they crash again and again; those that were ill before are no concern of the upgrade.
func TestReadyLooksAtThePodsOfDaemonSets(t *testing.T) {
	none := func(*kube.Daemon) {}
	const logs = "`kubectl -n kube-system logs cni-x7 -c main --previous`"
	for name, tt := range map[string]struct {
		was       func(*kube.Daemon) // when this run cordoned the node; nil: it did not
		is        func(*kube.Daemon)
		stableFor time.Duration
		waits     string
		fails     string
	}{
		"well":                       {was: none, is: none},
		"well, and never noted":      {is: none},
		"restarted with its kubelet": {was: none, is: func(d *kube.Daemon) { d.Containers[0].Restarts = 1 }},
		"it crash-loops": {was: none, is: func(d *kube.Daemon) { crashing(d, 3) },
			fails: "pod kube-system/cni-x7 of DaemonSet cni: container main was restarted 3 times, CrashLoopBackOff (it last ended with exit code 1: Error); see " + logs},
		"it crashed twice so far": {was: none, is: func(d *kube.Daemon) { crashing(d, 2) },
			waits: "pod kube-system/cni-x7 of DaemonSet cni: container main: CrashLoopBackOff: back-off 20s restarting failed container (it last ended with exit code 1: Error); see " + logs},
		"it crash-loops slowly, and runs just now": {was: none, is: func(d *kube.Daemon) { lives(d, 3, time.Minute, 110*time.Second) },
			waits: "container main was restarted 3 times, and whether it stays now is not proved yet (it last ended with exit code 1: Error); see " + logs},
		"it crash-looped, and was mended":        {was: none, is: func(d *kube.Daemon) { lives(d, 5, time.Minute, 2*time.Minute) }},
		"it crash-looped, and runs for a moment": {was: none, is: func(d *kube.Daemon) { lives(d, 5, time.Second, 59*time.Second) }, waits: "was restarted 5 times, and whether it stays now"},
		"what ran first had to be tried again":   {was: none, is: func(d *kube.Daemon) { crashing(d, 5); d.Ready, d.Ails = true, nil; d.Containers[0].Done = true }},
		"two containers crash a little":          {was: none, is: func(d *kube.Daemon) { d.Containers[0].Restarts, d.Containers[1].Restarts = 2, 2 }},
		"it was restarted often before":          {was: func(d *kube.Daemon) { d.Containers[0].Restarts = 40 }, is: func(d *kube.Daemon) { lives(d, 41, time.Hour, time.Minute) }},
		"and crash-loops since": {was: func(d *kube.Daemon) { d.Containers[0].Restarts = 40 }, is: func(d *kube.Daemon) { crashing(d, 43) },
			fails: "container main was restarted 3 times"},
		"ill before, and still": {was: func(d *kube.Daemon) { crashing(d, 40) }, is: func(d *kube.Daemon) { crashing(d, 50) }},
		"another pod of a DaemonSet that was ill": {was: func(d *kube.Daemon) { crashing(d, 40) }, is: func(d *kube.Daemon) {
			d.Name, d.Made = "cni-new", time.Now().Add(-time.Minute)
			crashing(d, 5)
		}},
		"it is being created": {was: none, is: func(d *kube.Daemon) {
			d.Ready, d.Containers[0].Runs = false, time.Time{}
			d.Ails = &kube.Complaint{Container: "main", Why: "ContainerCreating"}
		}, waits: "pod kube-system/cni-x7 of DaemonSet cni is not Ready yet"},
		"its image cannot be pulled": {was: none, is: func(d *kube.Daemon) {
			d.Ready, d.Containers[0].Runs = false, time.Time{}
			d.Ails = &kube.Complaint{Container: "main", Why: "ImagePullBackOff", Says: "not found"}
		}, waits: "container main: ImagePullBackOff: not found; see `kubectl -n kube-system describe pod cni-x7`"},
		"it has not been running for long": {was: none, stableFor: time.Minute, is: func(d *kube.Daemon) { d.Containers[1].Runs = time.Now().Add(-50 * time.Second) },
			waits: "container driver of pod kube-system/cni-x7 runs, but not for 1m0s yet"},
		"the kubelet has not either": {was: none, stableFor: kubeletRan + time.Second, is: none, waits: "the kubelet of w1 runs, but not for 2m1s yet"},
		"on its way out":             {was: none, is: func(d *kube.Daemon) { crashing(d, 9); d.Terminating, d.TerminatingSince = true, time.Now() }},

		"never noted, not Ready since before the kubelet": {is: func(d *kube.Daemon) { crashing(d, 40); d.Changed = time.Now().Add(-time.Hour) }},
		"never noted, not Ready since":                    {is: func(d *kube.Daemon) { crashing(d, 40) }, waits: "CrashLoopBackOff"},
		"never noted, restarted often":                    {is: func(d *kube.Daemon) { d.Containers[0].Restarts = 40 }},
		"never noted, made since": {is: func(d *kube.Daemon) { d.Made = time.Now().Add(-time.Minute); crashing(d, 3) },
			fails: "container main was restarted 3 times, CrashLoopBackOff"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sc := scene(nil)
				if tt.was != nil {
					d := cni()
					tt.was(&d)
					sc.Known = noteOf(t, onNode(t, d), "node.cordon", nil)
				}
				d := cni()
				tt.is(&d)
				st := stepOn(t, onNode(t, d), "node.ready", running(kubeletRan, 0), "stableFor: "+tt.stableFor.String())
				_, err := st.Observe(t.Context(), sc)
				_, waits := errors.AsType[*engine.NotYetError](err)
				if waits != (tt.waits != "") || (err != nil) != (tt.waits+tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.waits+tt.fails) {
					t.Errorf("got %v, want %q", err, tt.waits+tt.fails)
				}
			})
		})
	}
}

// A kubelet writes by its own host's clock when a pod was Ready no more. By that clock what was not since before the kubelet was started is
// ill from before, and what was since is not.
func TestWhatWasIllBeforeByTheClockOfTheHost(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
		for ago, waits := range map[time.Duration]bool{10 * time.Second: true, 30 * time.Minute: false} {
			t.Run(fmt.Sprintf("%s off, not Ready for %s", off, ago), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := cni()
					crashing(&d, 40)
					d.Changed = time.Now().Add(off - ago)
					s := onNode(t, d)
					s.SetNodeLease("w1", time.Now().Add(off))
					_, err := stepOn(t, s, "node.ready", running(kubeletRan, off), "").Observe(t.Context(), scene(nil))
					if _, waiting := errors.AsType[*engine.NotYetError](err); waiting != waits || !waits && err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// What was ill is noted by whatever cordons the node, and only by the first cordon of a run: what fell ill after that may
// be its doing.
func TestTheFirstCordonNotesWhatIsIll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ill := cni()
		crashing(&ill, 7)
		for _, kind := range []string{"node.cordon", "node.drain"} {
			note := noteOf(t, onNode(t, ill), kind, nil)
			if note["daemons@w1"] != "kube-system/cni! kube-system/cni-x7/main=7" {
				t.Errorf("%s notes %q", kind, note)
			}
		}
		note := noteOf(t, onNode(t, cni()), "node.drain", nil)
		if well, noted := note["daemons@w1"]; !noted || well != "" {
			t.Errorf("of what is well is noted %q (%t)", well, noted)
		}
		if again := noteOf(t, onNode(t, ill), "node.drain", note); len(again) > 0 {
			t.Errorf("noted again: %v", again)
		}
	})
}

// A process that was killed while it cordoned a node has noted nothing. The next one does when it evicts there; on a node that was cordoned
// by hand it does not, since nobody knows what was done there before.
func TestWhatIsIllIsNotedAfterAKill(t *testing.T) {
	for by, cordoned := range map[string]engine.Facts{run + "/" + path: {"cordoned-at@w1": "2000-01-01T00:00:00Z"}, "": {}} {
		synctest.Test(t, func(t *testing.T) {
			ill := cni()
			crashing(&ill, 7)
			s := onNode(t, ill)
			s.SetNode(w1(true, by))
			s.SetPod(pod("web", "ReplicaSet"))
			learned := maps.Clone(cordoned)
			if _, err := recalling(t.Context(), step(t, s, "node.drain"), time.Minute, learned); err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{true: "kube-system/cni! kube-system/cni-x7/main=7"}[by != ""]
			if noted, known := learned["daemons@w1"]; noted != want || known != (by != "") {
				t.Errorf("cordoned by %q: noted %q (%t)", by, noted, known)
			}
		})
	}
}

// A node on which nobody can look is not cordoned: nothing would be known of what was ill before.
func TestNoCordonWithoutANote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := onNode(t, cni())
		changes, err := step(t, s, "node.cordon").Observe(t.Context(), scene(nil))
		if err != nil {
			t.Fatal(err)
		}
		s.Fail(func(_ int, r *http.Request) kubetest.Fault {
			if strings.HasSuffix(r.URL.Path, "/pods") {
				return kubetest.Refused
			}
			return kubetest.None
		})
		err = changes[0].Do(t.Context(), engine.Ticket{ID: "t", Out: io.Discard, Learn: func(engine.Facts) { t.Error("learned") }})
		if _, passes := errors.AsType[*engine.TransientError](err); !passes || len(s.Writes()) > 0 {
			t.Errorf("%v, after %v", err, s.Writes())
		}
	})
}
