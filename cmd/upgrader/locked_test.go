package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// TestAResumeOfADoneRunGivesTheLockBack proves what becomes of a run that was killed between its end and the release of
// the cluster's lock: `run` names the one command that clears it, and that command does. Another run's lock stays.
func TestAResumeOfADoneRunGivesTheLockBack(t *testing.T) {
	server := kubetest.New()
	web := httptest.NewServer(server)
	defer web.Close()
	client := server.Client(t, "r")
	uid, err := client.UID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state := store{t.TempDir()}
	env := map[string]string{"USER": "tester", "HOME": t.TempDir()}
	id := killedWhenDone(t, state, env, manifest{Plan: "p", Cluster: clusterID{UID: uid}, Kubeconfig: kubeconfigFor(t, web.URL)})
	person, machine := whoami(env)
	held, err := state.lockCluster(clusterID{UID: uid}, id)
	if err != nil {
		t.Fatal(err)
	}
	lock := kube.NewLock(client, kube.Identity{Run: id, Person: person, Machine: machine, LockFile: held.name()})
	held.release() // as a process does that is killed
	if err := lock.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	upgrader := func(want int, args ...string) string {
		var errs bytes.Buffer
		if code := run(t.Context(), nil, append(args, "--state-dir", state.dir), strings.NewReader(""), &bytes.Buffer{}, &errs, env); code != want {
			t.Fatalf("%s: exit code %d, want %d: %s", args, code, want, &errs)
		}
		return errs.String()
	}

	words := upgrader(exitLocked, "run", "../../plans/1.27-to-1.28.yaml", "--yes", "--kubeconfig", kubeconfigFor(t, web.URL), "--inventory", inventoryFile(t))
	if !strings.Contains(words, "which is done") || !strings.Contains(words, "upgrader resume "+id) {
		t.Errorf("run says %s", words)
	}
	if words := upgrader(exitDone, "resume", id); !strings.Contains(words, "it is released now") {
		t.Errorf("resume says %s", words)
	}
	if h, held, err := lock.Holder(t.Context()); held || err != nil || h.Epoch <= lock.Epoch() {
		t.Errorf("held %v by %+v, %v; the epoch was %d", held, h, err, lock.Epoch())
	}

	other := kube.NewLock(client, kube.Identity{Run: "other", Person: person, Machine: machine})
	if err := other.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if words := upgrader(exitDone, "resume", id); !strings.Contains(words, "nothing to go on with") {
		t.Errorf("resume says %s", words)
	}
	if h, held, err := other.Holder(t.Context()); !held || err != nil || h.Run != "other" {
		t.Errorf("held %v by %+v, %v", held, h, err)
	}
}

// killedWhenDone is a run that is done, as its process left it.
func killedWhenDone(t *testing.T, s store, env map[string]string, m manifest) string {
	t.Helper()
	id, dir, err := s.create(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m.ID = id
	file, err := journal.Open(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	key, err := theKey(env)
	if err != nil {
		t.Fatal(err)
	}
	file.Seal(key.of(dir))
	if err := dir.pin(file, m, &plan.Plan{}, &engine.Graph{Plan: m.Plan}, nil); err != nil {
		t.Fatal(err)
	}
	if err := file.Append(journal.Record{Kind: journal.Begin}, journal.Record{Kind: journal.End, State: engine.Done}); err != nil {
		t.Fatal(err)
	}
	return id
}

// kubeconfigFor leads to a server.
func kubeconfigFor(t *testing.T, server string) string {
	t.Helper()
	return fileWith(t, "kubeconfig", `apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: nobody}}]
clusters: [{name: here, cluster: {server: "`+server+`"}}]
users: [{name: nobody, user: {token: none}}]
`)
}

// inventoryFile has a control plane and a worker that nobody reaches.
func inventoryFile(t *testing.T) string {
	t.Helper()
	return fileWith(t, "inventory.yaml", `apiVersion: upgrader.dev/v1
kind: Inventory
hosts:
  - name: c
  - name: w
groups:
  control-plane: [c]
  workers: [w]
`)
}

func fileWith(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
