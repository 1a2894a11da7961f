package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"upgrader.dev/upgrader/steps/sandbox"
)

// An inventory may come out of a pipe, as in --inventory <(generate), where nobody can read it twice; and the address of a
// cluster may hold a password. What a run keeps is the inventory that it began with, and no password.
func TestWhatARunKeepsOfItsPlace(t *testing.T) {
	dir := t.TempDir()
	box, err := sandbox.Start(t.Context(), sandbox.Options{ControlPlanes: 1, Dir: filepath.Join(dir, "box"), NoWorkload: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	inventory := strings.NewReplacer(": id_ed25519", ": "+filepath.Join(dir, "box", "id_ed25519"), ": known_hosts", ": "+filepath.Join(dir, "box", "known_hosts")).Replace(textOf(t, box.Inventory))
	kubeconfig := strings.ReplaceAll(textOf(t, box.Kubeconfig), "https://", "https://ann:hunter2@")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { // for one reader
		if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			_, _ = w.WriteString(inventory)
			_ = os.Remove(pipe)
			_ = w.Close()
		}
	}()
	env := map[string]string{"HOME": dir, "USER": "tester", "UPGRADER_STATE_DIR": filepath.Join(dir, "state")}
	var out, errs bytes.Buffer
	args := []string{"run", fileWith(t, "look.yaml", "apiVersion: upgrader.dev/v1\nkind: Plan\nname: look\nsteps:\n  - {id: ok, uses: approval, with: {message: ok}}\n"),
		"--yes", "--inventory", pipe, "--kubeconfig", fileWith(t, "kubeconfig", kubeconfig)}
	if code := run(t.Context(), nil, args, strings.NewReader(""), &out, &errs, env); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	kept, err := filepath.Glob(filepath.Join(dir, "state", "runs", "*", "*"))
	if err != nil || len(kept) == 0 {
		t.Fatal(kept, err)
	}
	for _, path := range kept {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			continue
		}
		text := textOf(t, path)
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s holds the password:\n%s", filepath.Base(path), text)
		}
		if filepath.Base(path) == inventoryName && text != inventory {
			t.Errorf("the inventory is kept as %q", text)
		}
	}
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
