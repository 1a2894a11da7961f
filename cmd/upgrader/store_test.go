package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// TestStateDir proves the order in which the places for the state are tried.
func TestStateDir(t *testing.T) {
	env := map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/x", "UPGRADER_STATE_DIR": "/u"}
	for _, tt := range []struct{ flag, unset, want string }{
		{"/f", "", "/f"},
		{"", "", "/u"},
		{"", "UPGRADER_STATE_DIR", "/x/upgrader"},
		{"", "XDG_STATE_HOME", "/h/.local/state/upgrader"},
	} {
		delete(env, tt.unset)
		s, err := stateDir(tt.flag, env)
		if err != nil || s.dir != tt.want {
			t.Errorf("stateDir(%q, %v) = %q, %v; want %q", tt.flag, env, s.dir, err, tt.want)
		}
	}
	if _, err := stateDir("", nil); exitCode(err) != exitInvalid {
		t.Errorf("without HOME: %v", err)
	}
}

// TestRootInAnothersHome proves that root, behind a sudo that keeps HOME, neither makes its state there nor takes the key from there.
func TestRootInAnothersHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	home := t.TempDir()
	if err := os.Chown(home, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": home}
	if _, err := stateDir("", env); exitCode(err) != exitInvalid || !strings.Contains(err.Error(), "belongs to uid 4242") || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("%v", err)
	}
	if _, err := stateDir(filepath.Join(t.TempDir(), "state"), env); err != nil {
		t.Errorf("with a place of root's own: %v", err)
	}
	if path, err := keyPlace(env); err != nil || strings.HasPrefix(path, home) {
		t.Errorf("the key is in %s, %v", path, err)
	}
}

// TestRunIDs proves that IDs are short, sort by time and are fit for a ticket.
func TestRunIDs(t *testing.T) {
	a, b := newRunID(noon()), newRunID(noon().Add(time.Minute))
	if a >= b {
		t.Errorf("%s is not before %s", a, b)
	}
	if !regexp.MustCompile(`^1120-1200-[a-z0-9]{3}$`).MatchString(a) {
		t.Errorf("ID %q", a)
	}
}

// stored makes a store with runs of these IDs, a minute apart.
func stored(t *testing.T, ids ...string) store {
	t.Helper()
	s := store{t.TempDir()}
	for i, id := range ids {
		dir := runDir(filepath.Join(s.dir, "runs", id))
		if err := os.MkdirAll(string(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(dir.path("run.json"), manifest{ID: id, Created: noon().Add(time.Duration(i) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(dir.path("graph.json"), sample()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestFind proves that nothing means the newest, a unique beginning is enough, and every miss says what there is.
func TestFind(t *testing.T) {
	s := stored(t, "1120-1200-aaa", "1120-1201-bbb", "1121-0900-ccc")
	for name, want := range map[string]string{"": "1121-0900-ccc", "1121": "1121-0900-ccc", "1120-1201": "1120-1201-bbb", "1120-1200-aaa": "1120-1200-aaa"} {
		if r, err := s.find(name); err != nil || r.ID != want {
			t.Errorf("find(%q) = %s, %v; want %s", name, r.ID, err, want)
		}
	}
	for name, want := range map[string]string{"1120": "beginning of 2 runs", "9": "there is no run"} {
		if _, err := s.find(name); err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitInvalid {
			t.Errorf("find(%q): %v", name, err)
		}
	}
	if _, err := (store{t.TempDir()}).find(""); exitCode(err) != exitInvalid {
		t.Errorf("in an empty store: %v", err)
	}
}

// TestFindPassesNoRunOver proves that a run whose manifest is damaged is not taken for none.
func TestFindPassesNoRunOver(t *testing.T) {
	s := stored(t, "1120-1200-aaa", "1121-0900-ccc")
	if err := os.WriteFile(filepath.Join(s.dir, "runs", "1121-0900-ccc", "run.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "1121"} {
		if r, err := s.find(name); err == nil || !strings.Contains(err.Error(), "run.json cannot be read") {
			t.Errorf("find(%q) = %s, %v", name, r.ID, err)
		}
	}
	if r, err := s.find("1120"); err != nil {
		t.Errorf("%s: %v", r.ID, err)
	}
}

// TestCreate proves that a run's directory is for its owner only.
func TestCreate(t *testing.T) {
	s := store{filepath.Join(t.TempDir(), "state")}
	_, dir, err := s.create(noon())
	if err != nil {
		t.Fatal(err)
	}
	for path := string(dir); path != filepath.Dir(s.dir); path = filepath.Dir(path) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// TestADeadRunIsPaused proves that status tells a run whose process has died from one that is at work.
func TestADeadRunIsPaused(t *testing.T) {
	s := stored(t, "1120-1200-aaa")
	run, err := s.find("")
	if err != nil {
		t.Fatal(err)
	}
	file, err := journal.Open(string(run.dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Append(story()...); err != nil {
		t.Fatal(err)
	}
	if _, summary, err := run.dir.summary(); err != nil || summary.State != engine.Running {
		t.Errorf("at work: %s, %v", summary.State, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if _, summary, err := run.dir.summary(); err != nil || summary.State != engine.Paused {
		t.Errorf("dead: %s, %v", summary.State, err)
	}
}

// TestLogsStayInTheirDirectory proves that no name of a host or step leads out of the run's directory.
func TestLogsStayInTheirDirectory(t *testing.T) {
	dir := runDir("/state/runs/r")
	for _, name := range []string{"..", "a/../../../etc", "/etc/passwd", ".", ""} {
		path := dir.log(&engine.Node{Step: name, Target: engine.Target{Name: name}})
		if clean := filepath.Clean(path); clean != path || !strings.HasPrefix(path, "/state/runs/r/logs/") {
			t.Errorf("log of %q is %s", name, path)
		}
	}
}

// TestLockCluster proves that the second process of a machine is kept off and told by whom.
func TestLockCluster(t *testing.T) {
	s := store{t.TempDir()}
	id := clusterID{UID: "u-1", Name: "prod"}
	held, err := s.lockCluster(id, "1120-1200-aaa")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.lockCluster(id, "1120-1300-bbb")
	var locked *lockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), "1120-1200-aaa") {
		t.Errorf("second: %v", err)
	}
	held.release()
	if held, err = s.lockCluster(id, "1120-1300-bbb"); err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	held.release()
}
