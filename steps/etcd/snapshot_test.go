package etcd

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

func answers(stdout, stderr string) func(remote.Script) (remote.Result, error) {
	return func(remote.Script) (remote.Result, error) { return remote.Result{Stdout: stdout, Stderr: stderr}, nil }
}

func fails(err error) func(remote.Script) (remote.Result, error) {
	return func(remote.Script) (remote.Result, error) { return remote.Result{}, err }
}

func scene() engine.Scene {
	return engine.Scene{Run: "r1", Step: "backup/save", Target: engine.Target{Name: "cp1"}}
}

func snapshots(t *testing.T, h *remotetest.Host) *Snapshot {
	t.Helper()
	return enginetest.Made(t, enginetest.Kind(t, Kinds(remotetest.One("cp1", h)), "etcd.snapshot"), "dir: /b").(*Snapshot)
}

func TestSnapshotIsSavedOncePerRunAndStep(t *testing.T) {
	const file = "/b/etcd-r1.backup-save.4711.db"
	for name, tt := range map[string]struct {
		stdout  string
		expect  engine.Facts
		says    string
		refuses string
	}{
		"none yet":                {stdout: "reaches etcd\n", says: "save an etcd snapshot to /b"},
		"there":                   {stdout: "reaches etcd\nsnapshot " + file + " aa aa\n"},
		"changed since":           {stdout: "reaches etcd\nsnapshot " + file + " aa bb\n", says: "save an etcd snapshot to /b"},
		"cut before its hash":     {stdout: "reaches etcd\nsnapshot " + file + " aa none\n", says: "save an etcd snapshot to /b"},
		"promised by a dry run":   {stdout: "reaches etcd\n", expect: engine.Facts{"snapshot@cp1": "etcd-r1.backup-save"}},
		"of another step":         {stdout: "reaches etcd\n", expect: engine.Facts{"snapshot@cp1": "etcd-r1.other"}, says: "save an etcd snapshot to /b"},
		"not a control plane":     {stdout: "", refuses: "cannot reach etcd"},
		"not one, yet has a file": {stdout: "snapshot " + file + " aa aa\n", refuses: "cannot reach etcd"},
	} {
		t.Run(name, func(t *testing.T) {
			s := scene()
			s.Expect = tt.expect
			changes, err := snapshots(t, &remotetest.Host{Answer: remotetest.Says(tt.stdout)}).Observe(t.Context(), s)
			enginetest.Expect(t, err, "", tt.refuses)
			var says []string
			for _, c := range changes {
				says = append(says, c.Say)
				if c.Repeat != engine.Guarded {
					t.Errorf("%q is %s", c.Say, c.Repeat)
				}
			}
			if got := strings.Join(says, "\n"); got != tt.says {
				t.Errorf("says %q, want %q", got, tt.says)
			}
		})
	}
}

func TestSnapshotTellsWhatItSaved(t *testing.T) {
	stdout := "reaches etcd\n"
	h := &remotetest.Host{Answer: func(s remote.Script) (remote.Result, error) {
		if want := map[string]string{"DIR": "/b", "NAME": "etcd-r1.backup-save"}; !cmp.Equal(s.Env, want) {
			t.Errorf("looked with %v", s.Env)
		}
		return remote.Result{Stdout: stdout}, nil
	}}
	h.Did = func(_ engine.Ticket, j remote.Job) error {
		if want := map[string]string{"DIR": "/b", "NAME": "etcd-r1.backup-save", "KEEP": "7", "VERIFY": "true"}; !cmp.Equal(j.Env, want) || !j.Safe {
			t.Errorf("job %v, safe %v", j.Env, j.Safe)
		}
		stdout += "snapshot /b/etcd-r1.backup-save.4711.db aa aa\n"
		return nil
	}
	step := snapshots(t, h)
	changes, err := step.Observe(t.Context(), scene())
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	var learned engine.Facts
	if err := changes[0].Do(t.Context(), engine.Ticket{ID: "t1", Learn: func(f engine.Facts) { learned = f }}); err != nil {
		t.Fatal(err)
	}
	want := engine.Facts{"snapshot.path@cp1": "/b/etcd-r1.backup-save.4711.db", "snapshot.revision@cp1": "4711", "snapshot.sha256@cp1": "aa"}
	if d := cmp.Diff(want, learned); d != "" {
		t.Error(d)
	}
	if changes, err = step.Observe(t.Context(), scene()); len(changes) > 0 || err != nil {
		t.Errorf("after the snapshot there is still %v, %v", changes, err)
	}
}

func TestSnapshotPassesFailuresOn(t *testing.T) {
	doubt := engine.InDoubt(errors.New("connection lost"))
	h := &remotetest.Host{Answer: remotetest.Says("reaches etcd\n"), Did: func(engine.Ticket, remote.Job) error { return doubt }}
	changes, err := snapshots(t, h).Observe(t.Context(), scene())
	if err != nil {
		t.Fatal(err)
	}
	if err := changes[0].Do(t.Context(), engine.Ticket{ID: "t1"}); !errors.Is(err, doubt) {
		t.Errorf("got %v", err)
	}
}

func TestSnapshotValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		step Snapshot
		want string
	}{
		"good":             {Snapshot{Dir: "/var/lib/upgrader/backups", Keep: 1}, ""},
		"relative":         {Snapshot{Dir: "backups", Keep: 1}, "absolute path"},
		"a blank":          {Snapshot{Dir: "/my backups", Keep: 1}, "absolute path"},
		"parent":           {Snapshot{Dir: "/var/../etc", Keep: 1}, "absolute path"},
		"the root":         {Snapshot{Dir: "/", Keep: 1}, "absolute path"},
		"none are kept":    {Snapshot{Dir: "/b", Keep: 0}, "keep: 0 must be at least 1"},
		"shell characters": {Snapshot{Dir: "/b;rm", Keep: 1}, "absolute path"},
	} {
		err := tt.step.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestKindsNeedNoHosts(t *testing.T) {
	catalog, err := engine.NewCatalog(Kinds(nil)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range catalog.Kinds() {
		step, err := enginetest.Make(k, "")
		if err != nil {
			t.Errorf("%s: its defaults are not valid: %v", k.Name, err)
		}
		if _, gate := step.(engine.Gate); gate != (k.Name == "etcd.healthy") {
			t.Errorf("%s: gate is %v", k.Name, gate)
		}
		if !strings.Contains(k.Doc, ".\n") {
			t.Errorf("%s: its doc has no first sentence", k.Name)
		}
	}
}
