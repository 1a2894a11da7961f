package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"upgrader.dev/upgrader/engine/private"
)

// TestAStateDirectoryOfOthers proves that no command reads, or writes to, what another user may have put into the state directory:
// the directory itself, runs/, a run's directory or any file in it, as a link, as a FIFO, as writable, as somebody else's.
func TestAStateDirectoryOfOthers(t *testing.T) {
	spoil := map[string]func(path string) error{
		"writable": func(p string) error { return os.Chmod(p, 0o777) },
		"link":     func(p string) error { return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p)) },
		"fifo":     func(p string) error { return errors.Join(os.RemoveAll(p), syscall.Mkfifo(p, 0o600)) },
	}
	if os.Geteuid() == 0 {
		spoil["foreign"] = func(p string) error { return os.Lchown(p, 4242, 4242) }
	}
	const id = "1120-1200-aaa"
	for _, place := range []string{"", "runs", "runs/" + id, "runs/" + id + "/graph.json", "runs/" + id + "/run.json", "runs/" + id + "/journal.jsonl",
		"runs/" + id + "/plan/plan.yaml", "runs/" + id + "/decisions/go@cluster.json", "runs/" + id + "/logs/w1/drain.log"} {
		for how, deed := range spoil {
			if place == "" && (how == "link" || how == "fifo") {
				continue // one's own link to it is fine; a FIFO is no directory
			}
			t.Run(how+" "+place, func(t *testing.T) {
				s := stored(t, id)
				for _, f := range []string{"journal.jsonl", "plan/plan.yaml", "decisions/go@cluster.json", "logs/w1/drain.log"} {
					path := filepath.Join(s.dir, "runs", id, f)
					if err := errors.Join(private.MkdirAll(filepath.Dir(path)), private.WriteFile(path, nil)); err != nil {
						t.Fatal(err)
					}
				}
				if err := deed(filepath.Join(s.dir, place)); err != nil {
					t.Fatal(err)
				}
				for _, args := range [][]string{{"resume"}, {"status"}, {"logs", id}, {"approve", id, "go"}} {
					var out, errs bytes.Buffer
					code := run(t.Context(), nil, append(args, "--state-dir", s.dir), strings.NewReader(""), &out, &errs, map[string]string{"USER": "tester"})
					if code != exitInvalid || out.Len() > 0 || !strings.Contains(errs.String(), filepath.Join(s.dir, place)) || !strings.Contains(errs.String(), "owner ") {
						t.Errorf("%v: exit code %d, it says %s%s", args, code, &out, &errs)
					}
				}
			})
		}
	}
}
