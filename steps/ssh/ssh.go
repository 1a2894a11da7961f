// Package ssh has the kind that runs a command of the user's own on a host: ssh.run. It may import engine and
// steps/remote. It speaks no SSH itself; steps/remote does.
package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

const runDoc = "Runs a shell script of your own on a host, as root, as a job that survives a lost connection.\n" +
	"With `unless` it observes by that script: exit status 0 means that the goal holds and nothing is run; then an interrupted run may be repeated when `unless` still says no.\n" +
	"Without `unless` it runs exactly once per run and host: an interruption that leaves the outcome unknown is for a person to decide, and a dry run always announces it.\n" +
	"With `fact` the first line of its standard output becomes a fact that later steps can use. It refuses nothing by itself; an exit status other than 0 fails the step."

// Kinds returns the kinds of this family, on these hosts. They may be nil for everything but Observe.
func Kinds(hosts remote.Hosts) []engine.Kind {
	return []engine.Kind{{Name: "ssh.run", Doc: runDoc, Scope: engine.OnHost, New: func() engine.Step { return &run{hosts: hosts} }}}
}

type run struct {
	hosts  remote.Hosts
	Script string            `yaml:"run" required:"true" expr:"never" doc:"POSIX shell script; set -eu is in force, values come in through env."`
	Env    map[string]string `yaml:"env" doc:"Environment of both scripts; names are capitals, digits and _."`
	Secret map[string]string `yaml:"secretEnv" doc:"Like env, but each value names a secret (env:NAME, file:PATH or cmd:COMMAND) that is read here when it is used, and taken out of all that comes back. The host keeps none of the output."`
	Unless string            `yaml:"unless" expr:"never" doc:"Script that only reads and exits 0 when there is nothing left to do."`
	Fact   string            `yaml:"fact" doc:"Name under which the first line of the standard output becomes known, as NAME@HOST."`
	AsUser bool              `yaml:"asUser" doc:"Run as the login user instead of root."`
	Kill   bool              `yaml:"kill" doc:"The script may be killed when the step's timeout is over; otherwise it goes on and the step only stops waiting for it."`

	ran bool // one step is made per node and process: this one has run here already
}

var (
	envForm  = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	factForm = regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`)
)

// reserved are the names that decide how the script itself is run.
var reserved = regexp.MustCompile(`^(PATH|IFS|ENV|LC_ALL|LD_[A-Z_]*)$`)

// Validate checks the names.
func (r *run) Validate() error {
	if strings.TrimSpace(r.Script) == "" {
		return fmt.Errorf("run: is empty")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Secret)) {
		ref := r.Secret[name]
		if _, twice := r.Env[name]; twice {
			return fmt.Errorf("secretEnv: %s is in env too", name)
		}
		if err := remote.CheckSecret(ref); err != nil {
			return fmt.Errorf("secretEnv: %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(merged(r.Env, r.Secret))) {
		if !envForm.MatchString(name) {
			return fmt.Errorf("env: %q is not a name of capitals, digits and _", name)
		}
		if reserved.MatchString(name) {
			return fmt.Errorf("env: %s is fixed and cannot be set; set it inside the script", name)
		}
	}
	if r.Fact != "" && !factForm.MatchString(r.Fact) {
		return fmt.Errorf("fact: %q is not a name such as kernelVersion", r.Fact)
	}
	return nil
}

// Disrupts marks the kind: nobody here knows what the script does.
func (*run) Disrupts() {}

// OnceIsDone says that a script without `unless` is done when it ended well: nothing on the host could tell.
func (r *run) OnceIsDone() bool { return r.Unless == "" }

func (r *run) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if r.ran && r.Unless == "" {
		return nil, nil
	}
	h, err := r.hosts.Host(s.Target.Name)
	if err != nil {
		return nil, err
	}
	if r.Unless != "" {
		holds, err := r.holds(ctx, h)
		if holds || err != nil {
			return nil, err
		}
	} else if err := r.atHand(ctx); err != nil { // `unless` has read them
		return nil, err
	}
	c := engine.Change{
		Say:    "run: " + headline(r.Script),
		Repeat: engine.Once,
		Do:     func(ctx context.Context, t engine.Ticket) error { return r.do(ctx, h, t) },
	}
	if r.Unless != "" {
		c.Repeat = engine.Guarded
	}
	return []engine.Change{c}, nil
}

// holds asks `unless`. What the shell could not even run says nothing about the goal.
func (r *run) holds(ctx context.Context, h remote.Host) (bool, error) {
	script, err := r.script(ctx, r.Unless)
	if err != nil {
		return false, err
	}
	script.Foreign = true
	_, err = h.Query(ctx, script)
	exit, ok := errors.AsType[*remote.ExitError](err)
	const cannotExecute = 126 // POSIX: 126 not executable, 127 not found, above 128 a signal
	switch {
	case err == nil:
		return true, nil
	case !ok || exit.Signal != "" || exit.Code >= cannotExecute:
		return false, fmt.Errorf("asking `unless` of %s: %w", h.Name(), err)
	}
	return false, nil
}

// atHand has a dry run say already that a secret will not be found.
func (r *run) atHand(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(r.Secret)) {
		if err := remote.SecretAtHand(ctx, r.Secret[name]); err != nil {
			return fmt.Errorf("secretEnv: %s: %w", name, err)
		}
	}
	return nil
}

// script reads the secrets, at this moment and no earlier.
func (r *run) script(ctx context.Context, text string) (remote.Script, error) {
	// As in an operator's shell, others may read what a command writes; jobs are more careful than that.
	s := remote.Script{Text: "umask 022\n" + text, Env: r.Env, AsUser: r.AsUser}
	if len(r.Secret) > 0 {
		s.Secret = map[string]string{}
	}
	for name, ref := range r.Secret {
		value, err := remote.ReadSecret(ctx, ref)
		if err != nil {
			return s, fmt.Errorf("secretEnv: %s: %w", name, err)
		}
		s.Secret[name] = value
	}
	return s, nil
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(b)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, a)
	return all
}

func (r *run) do(ctx context.Context, h remote.Host, t engine.Ticket) error {
	text := r.Script
	heard := &listener{to: t.Out, mark: mark(t)}
	if r.Fact != "" {
		text = caught(r.Script, heard.mark)
		t.Out = heard
	}
	script, err := r.script(ctx, text)
	if err != nil {
		return err
	}
	if err := h.Do(ctx, t, remote.Job{Name: headline(r.Script), Script: script, Safe: r.Kill}); err != nil {
		return err
	}
	r.ran = true
	if r.Unless != "" {
		if ok, err := r.holds(ctx, h); err != nil || !ok {
			return cmp.Or(err, fmt.Errorf("the script has run on %s and succeeded, but `unless` still says that there is something to do", h.Name()))
		}
	}
	if r.Fact == "" {
		return nil
	}
	value, err := heard.fact()
	if err != nil {
		return fmt.Errorf("the script has run on %s, but fact %s is not known: %w", h.Name(), r.Fact, err)
	}
	t.Learn(engine.Facts{r.Fact + "@" + h.Name(): value})
	return nil
}

// Hear finds the fact in the output of a script that another process, or a lost connection, had begun. That of a script with
// secrets is not shown to a process that does not know them.
func (r *run) Hear(target engine.Target, t engine.Ticket) (engine.Ticket, func() error) {
	if r.Fact == "" {
		return t, func() error { return nil }
	}
	heard := &listener{to: t.Out, mark: mark(t)}
	learn := t.Learn
	t.Out = heard
	return t, func() error {
		value, err := heard.fact()
		if err != nil && len(r.Secret) > 0 {
			err = errors.New("its output is not kept, since it had secrets")
		}
		if err != nil {
			return fmt.Errorf("the script has run on %s, but fact %s is not known: %w; if it may run again, resume the run", target.Name, r.Fact, err)
		}
		learn(engine.Facts{r.Fact + "@" + target.Name: value})
		return nil
	}
}

// headline is the first line of a script that says something, cut to what fits on a line of the screen.
func headline(script string) string {
	const width = 60
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if utf8.RuneCountInString(line) > width {
			return string([]rune(line)[:width-1]) + "…"
		}
		return line
	}
	return "(only comments)"
}
