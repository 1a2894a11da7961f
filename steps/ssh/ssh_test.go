package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

// shell is a host that runs scripts with the sh of this machine, output and errors mixed as a job has them.
func shell(t *testing.T) *remotetest.Host {
	run := func(s remote.Script, out io.Writer) error {
		cmd := exec.CommandContext(context.Background(), "sh", "-eu")
		cmd.Stdin = strings.NewReader(s.Text)
		for k, v := range s.Env {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), out, out
		err := cmd.Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return &remote.ExitError{Host: "w1", Code: exit.ExitCode()}
		}
		return err
	}
	return &remotetest.Host{
		Answer: func(s remote.Script) (remote.Result, error) { return remote.Result{}, run(s, io.Discard) },
		Did:    func(tk engine.Ticket, j remote.Job) error { return run(j.Script, tk.Out) },
	}
}

// perform observes and makes the one change, and returns the facts learned and the output.
func perform(t *testing.T, r *run) (engine.Facts, string, error) {
	t.Helper()
	changes, err := r.Observe(t.Context(), scene)
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	learned := engine.Facts{}
	var out bytes.Buffer
	err = changes[0].Do(t.Context(), engine.Ticket{ID: "r1-s1", Out: &out, Learn: func(f engine.Facts) { learned = f }})
	return learned, out.String(), err
}

var scene = engine.Scene{Target: engine.Target{Name: "w1"}}

func TestFact(t *testing.T) {
	tests := []struct {
		name, script string
		want, err    string
	}{
		{"one line", "echo 5.10.0", "5.10.0", ""},
		{"the first of many lines, errors between", "echo one >&2; echo two; echo three >&2; echo four", "two", ""},
		{"what looks like another's fact", "echo found@w2=evil; echo 'fact of r1-s2: evil'", "found@w2=evil", ""},
		{"the script's own values", "echo \"$GREETING\"", "hello, 'you'", ""},
		{"a here-document", "cat <<X\na (b\nX", "a (b", ""},
		{"early exit", "echo early; exit 0", "early", ""},
		{"without a last newline", "printf abc", "abc", ""},
		{"nothing", "true", "", "the first line of its output is empty"},
		{"a join token", "echo abcdef.0123456789abcdef", "", "the first line of its output holds a secret; facts are recorded and shown"},
		{"control bytes", `printf 'a\033[2Jb\n'`, "", "the first line of its output holds control bytes"},
		{"not text", `printf '\377\n'`, "", "the first line of its output holds control bytes"},
		{"too long", "head -c 5000 /dev/zero | tr '\\0' x", "", "the first line of its output is longer than 4 KiB"},
		{"just short enough", "head -c 4096 /dev/zero | tr '\\0' x", strings.Repeat("x", 4096), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &run{hosts: remotetest.One("w1", shell(t)), Script: tt.script, Fact: "found", Env: map[string]string{"GREETING": "hello, 'you'"}}
			facts, out, err := perform(t, r)
			if tt.err != "" {
				if err == nil || err.Error() != "the script has run on w1, but fact found is not known: "+tt.err {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || facts["found@w1"] != tt.want || len(facts) != 1 { // of no other host and no other name
				t.Errorf("%v (%v) from %q", facts, err, out)
			}
		})
	}
}

// A failing script keeps its exit status and its output, also when that is caught for a fact.
func TestExitStatus(t *testing.T) {
	for _, fact := range []string{"", "found"} {
		r := &run{hosts: remotetest.One("w1", shell(t)), Script: "echo one\nsh -c 'exit 7'\necho two", Fact: fact}
		facts, out, err := perform(t, r)
		exit, ok := errors.AsType[*remote.ExitError](err)
		if !ok || exit.Code != 7 || len(facts) > 0 || out != "one\n" {
			t.Errorf("fact %q: %v %v, output %q", fact, err, facts, out)
		}
	}
}

// A script that another process had begun tells its fact by its output, or says that it cannot.
func TestHear(t *testing.T) {
	for _, tt := range []struct {
		secret    map[string]string
		out, want string
		err       string
	}{
		{nil, "noise\nfact of t: new\n", "new", ""},
		{nil, "noise\n", "", "the script has run on w1, but fact found is not known: its output was not seen to the end; if it may run again, resume the run"},
		{map[string]string{"TOKEN": "env:TOKEN"}, "[output withheld]\n", "", "the script has run on w1, but fact found is not known: its output is not kept, since it had secrets; if it may run again, resume the run"},
	} {
		facts := engine.Facts{}
		r := &run{Fact: "found", Secret: tt.secret}
		ticket, learn := r.Hear(engine.Target{Name: "w1"}, engine.Ticket{ID: "t", Out: io.Discard, Learn: func(f engine.Facts) { facts = f }})
		_, _ = io.WriteString(ticket.Out, tt.out)
		if err := learn(); err == nil && tt.err != "" || err != nil && err.Error() != tt.err || facts["found@w1"] != tt.want {
			t.Errorf("%q: %v, %v", tt.out, facts, err)
		}
	}
}

// The fact is found however the output is cut into pieces.
func TestFactInPieces(t *testing.T) {
	const text = "noise\nfact of t: old\nmore\nfact of t: new\nlast"
	for size := 1; size <= len(text); size++ {
		var passed bytes.Buffer
		l := &listener{to: &passed, mark: mark(engine.Ticket{ID: "t"})}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := l.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if v, err := l.fact(); v != "new" || err != nil || passed.String() != text {
			t.Errorf("pieces of %d: %q (%v), passed on %q", size, v, err, passed.String())
		}
	}
}

func TestUnless(t *testing.T) {
	tests := []struct {
		name, unless string
		done         bool
		err          string
	}{
		{"holds", "true", true, ""},
		{"does not hold", "exit 1", false, ""},
		{"cannot be asked", "no-such-command", false, "asking `unless` of w1: w1: exit status 127"},
	}
	for _, tt := range tests {
		r := &run{hosts: remotetest.One("w1", shell(t)), Script: "true", Unless: tt.unless}
		changes, err := r.Observe(t.Context(), scene)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.err || err == nil && tt.done != (len(changes) == 0) {
			t.Errorf("%s: %v %v", tt.name, changes, err)
		}
		if len(changes) == 1 && changes[0].Repeat != engine.Guarded {
			t.Errorf("%s: repeat is %s", tt.name, changes[0].Repeat)
		}
	}
}

// With unless, success means that it holds afterwards.
func TestUnlessIsAskedAgain(t *testing.T) {
	file := t.TempDir() + "/made"
	r := &run{hosts: remotetest.One("w1", shell(t)), Script: ": >" + file, Unless: "test -e " + file}
	if _, _, err := perform(t, r); err != nil {
		t.Error(err)
	}
	if changes, err := r.Observe(t.Context(), scene); len(changes) > 0 || err != nil {
		t.Error(changes, err)
	}
	r = &run{hosts: remotetest.One("w1", shell(t)), Script: "true", Unless: "test -e " + file + ".not"}
	_, _, err := perform(t, r)
	if err == nil || err.Error() != "the script has run on w1 and succeeded, but `unless` still says that there is something to do" {
		t.Error(err)
	}
}

// Without unless it is once: a dry run always announces it, and it is done when it was done.
func TestOnce(t *testing.T) {
	r := &run{hosts: remotetest.One("w1", shell(t)), Script: "exit 3", AsUser: true, Kill: true}
	for range 2 {
		changes, err := r.Observe(t.Context(), scene)
		if err != nil || len(changes) != 1 || changes[0].Repeat != engine.Once {
			t.Fatal(changes, err)
		}
	}
	if _, _, err := perform(t, r); err == nil {
		t.Error("exit 3 succeeded")
	}
	r = &run{hosts: remotetest.One("w1", shell(t)), Script: "true"}
	if _, _, err := perform(t, r); err != nil {
		t.Error(err)
	}
	if changes, err := r.Observe(t.Context(), scene); len(changes) > 0 || err != nil {
		t.Error("it wants to run again", changes, err)
	}
	var _ interface{ OnceIsDone() bool } = r
}

// What the plan says is what the job gets.
func TestJob(t *testing.T) {
	var job remote.Job
	h := &remotetest.Host{Did: func(_ engine.Ticket, j remote.Job) error { job = j; return nil }}
	r := &run{hosts: remotetest.One("w1", h), Script: "true", Env: map[string]string{"A": "b"}, AsUser: true, Kill: true}
	if _, _, err := perform(t, r); err != nil {
		t.Fatal(err)
	}
	want := remote.Job{Name: "true", Safe: true, Script: remote.Script{Text: "umask 022\ntrue", Env: map[string]string{"A": "b"}, AsUser: true}}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Error(diff)
	}
}

func TestHeadline(t *testing.T) {
	for script, want := range map[string]string{
		"reboot":                        "reboot",
		"\n# why\n  apt-get update\nls": "apt-get update",
		strings.Repeat("ä", 60):         strings.Repeat("ä", 60),
		strings.Repeat("ä", 61):         strings.Repeat("ä", 59) + "…",
		"# nothing":                     "(only comments)",
	} {
		if got := headline(script); got != want {
			t.Errorf("%q: %q", script, got)
		}
	}
}

// A secret that is not there is told when somebody looks, as a dry run does, and not only when the script is to begin. No
// command is run for a look.
func TestASecretIsMissedAtTheFirstLook(t *testing.T) {
	host := &remotetest.Host{}
	ran := filepath.Join(t.TempDir(), "ran")
	t.Setenv("THERE", "hunter2")
	for ref, want := range map[string]string{
		"env:THERE":      "",
		"env:NOT_THERE":  "secretEnv: TOKEN: the secret env:NOT_THERE is empty: set the environment variable NOT_THERE",
		"file:/dev/none": "secretEnv: TOKEN: the secret file:/dev/none cannot be read: stat /dev/none: no such file or directory",
		"cmd:>" + ran:    "",
	} {
		r := &run{hosts: remotetest.One("w1", host), Script: "ls", Secret: map[string]string{"TOKEN": ref}}
		changes, err := r.Observe(t.Context(), scene)
		if got := fmt.Sprint(err); err != nil && got != want || err == nil && (want != "" || len(changes) != 1) {
			t.Errorf("%s: %d changes, %v", ref, len(changes), err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the command of a secret was run for a look")
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		r    run
		want string
	}{
		{run{Script: "ls", Fact: "kernelVersion", Env: map[string]string{"A_1": ""}}, ""},
		{run{Script: "\n"}, "run: is empty"},
		{run{Script: "ls", Fact: "a@b"}, `fact: "a@b" is not a name such as kernelVersion`},
		{run{Script: "ls", Env: map[string]string{"a": ""}}, `env: "a" is not a name of capitals, digits and _`},
		{run{Script: "ls", Env: map[string]string{"PATH": ""}}, "env: PATH is fixed and cannot be set; set it inside the script"},
		{run{Script: "ls", Secret: map[string]string{"A": "env:A", "B": "file:b", "C": "cmd:pass c"}}, ""},
		{run{Script: "ls", Env: map[string]string{"A": ""}, Secret: map[string]string{"A": "env:A"}}, "secretEnv: A is in env too"},
		{run{Script: "ls", Secret: map[string]string{"A": "hunter2"}},
			"secretEnv: A: this is no reference to a secret (it is not shown, since it may be one): write env:NAME, file:PATH or cmd:COMMAND"},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.r.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
