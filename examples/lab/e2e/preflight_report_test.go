//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A report is what `upgrader preflight --output json` says.
type report struct {
	Hosts    int     `json:"hosts"`
	Took     seconds `json:"seconds"`
	Findings []found `json:"findings"`

	code int // that it exits with
}

// found is a finding.
type found struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Where    string `json:"where"`
	What     string `json:"what"`
	Evidence string `json:"evidence"`
	Remedy   string `json:"remedy"`
	Waived   *struct {
		Reason string `json:"reason"`
	} `json:"waived"`
}

func (f found) String() string {
	return fmt.Sprintf("  %s %s %s: %s\n    seen: %s\n    do: %s", f.Severity, f.Check, f.Where, f.What, f.Evidence, f.Remedy)
}

// same tells whether two reports speak of the same thing.
func (f found) same(other found) bool {
	return f.Check == other.Check && f.Severity == other.Severity && f.Where == other.Where && f.What == other.What
}

// of writes the findings of one check.
func of(all []found, check string) string {
	var b strings.Builder
	for _, f := range all {
		if f.Check == check {
			fmt.Fprintln(&b, f)
		}
	}
	return b.String()
}

// without are the findings that another report does not have.
func (r report) without(other report) []found {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f found) bool { return slices.ContainsFunc(other.Findings, f.same) })
}

// checks are the names of the checks that found more than a note.
func (r report) checks() []string {
	var all []string
	for _, f := range r.Findings {
		if f.Severity != "note" {
			all = append(all, f.Check)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ends requires the exit code that goes with the findings, and nothing worse than only, if that is said.
func (r report) ends(t *testing.T, only string) {
	t.Helper()
	want := 0
	for _, f := range r.Findings {
		if f.Severity == "blocker" && f.Waived == nil {
			want = 4
			if only != "" {
				t.Errorf("a blocker where there are warnings only:\n%s", f)
			}
		}
	}
	if r.code != want {
		t.Errorf("exit code %d, want %d", r.code, want)
	}
}

// look runs preflight as a batch wants it.
func (l *lab) look(r batch) report {
	l.t.Helper()
	inventory := filepath.Join(l.dir, "inventory.yaml")
	if r.inventory != nil {
		inventory = l.inventory(inventory, r.inventory)
	}
	args := []string{"preflight", l.write(r.plan), "--kubeconfig", filepath.Join(l.dir, "kubeconfig"), "--inventory", inventory, "--output", "json"}
	for _, v := range r.vars {
		args = append(args, "--var", v)
	}
	cmd := l.upgrader(args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		l.t.Fatal(err)
	}
	got := report{code: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(out, &got); err != nil {
		l.t.Fatalf("%v: exit code %d, %v\n%s%s", args, got.code, err, out, errs.String())
	}
	return got
}

// upgrader is a call of the program under test.
func (l *lab) upgrader(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(programs, "upgrader"), args...)
}

// inventory writes a changed copy of the lab's inventory.
func (l *lab) inventory(file string, change func(l *lab, text string) string) string {
	l.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		l.t.Fatal(err)
	}
	whole := strings.NewReplacer("identityFile: ", "identityFile: "+l.dir+"/", "knownHosts: ", "knownHosts: "+l.dir+"/").Replace(string(text))
	return l.file("inventory.yaml", change(l, whole))
}

// file writes a file of the test.
func (l *lab) file(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// A variant is the shipped runbook with some of its text replaced: old, new, old, new.
type variant struct {
	name    string
	changes []string
	finds   []string // checks that find something even in a clean lab, notes left out
}

// write writes the plan of a variant.
func (l *lab) write(v variant) string {
	l.t.Helper()
	text, err := os.ReadFile(runbook)
	if err != nil {
		l.t.Fatal(err)
	}
	plan := string(text)
	for i := 0; i+1 < len(v.changes); i += 2 {
		if !strings.Contains(plan, v.changes[i]) {
			l.t.Fatalf("the runbook does not have %q", v.changes[i])
		}
		plan = strings.ReplaceAll(plan, v.changes[i], v.changes[i+1])
	}
	return l.file("plan.yaml", plan)
}

// controlPlanes are the hosts of the control plane, workers the others.
func (l *lab) controlPlanes() []string {
	return slices.DeleteFunc(slices.Clone(l.hosts), func(h string) bool { return !strings.HasPrefix(h, "cp") })
}
