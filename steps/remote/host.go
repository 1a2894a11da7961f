package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/redact"
)

// queryTries is how often a query is asked again by itself when the connection is lost under it.
const queryTries = 3

// A host is one machine of a fleet.
type host struct {
	fleet *Fleet
	name  string
	alias string // for the ssh configuration
	want  SSH

	mu       sync.Mutex
	way      *trunk   // nil: not resolved yet
	password []byte   // of sudo; nil: not read yet
	gone     sync.Map // tickets whose record was there and is not any more
}

func newHost(f *Fleet, m Machine) *host {
	want := m.SSH
	want.User, want.Port = cmp.Or(m.User, want.User), cmp.Or(m.Port, want.Port)
	return &host{fleet: f, name: m.Name, alias: cmp.Or(m.Address, m.Name), want: want.over(f.inventory.SSH)}
}

func (h *host) Name() string { return h.name }

// trunk resolves the host once.
func (h *host) trunk(ctx context.Context) (*trunk, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.way != nil {
		return h.way, nil
	}
	e, err := h.fleet.resolver.resolve(ctx, h.name, h.alias, h.want)
	if err != nil {
		return nil, err
	}
	h.way, err = h.fleet.reach(ctx, e, h.want, 0)
	return h.way, err
}

// secret reads the sudo password once.
func (h *host) secret(ctx context.Context) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.password == nil {
		p, err := resolveSecret(ctx, h.want.Sudo)
		if err != nil {
			return nil, fmt.Errorf("%s: reading the sudo password: %w", h.name, err)
		}
		h.password = p
	}
	return slices.Clone(h.password), nil
}

// forget overwrites the password.
func (h *host) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.password)
	h.password = nil
}

// become says which command line gives a shell with the rights wanted.
func (h *host) become(ctx context.Context, c *call, user string, asUser bool) error {
	c.command = plainShell
	if asUser || user == "root" || h.want.Sudo == "never" {
		return nil
	}
	if c.command = sudoQuiet; h.want.Sudo == "" || h.want.Sudo == "auto" {
		return nil
	}
	c.command = sudoPrompts
	var err error
	c.password, err = h.secret(ctx)
	return err
}

// Query runs a script that only reads, again if the connection is lost.
func (h *host) Query(ctx context.Context, s Script) (answer Result, err error) {
	defer cleaned(&answer, &err)
	text, err := body(s)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", h.name, err)
	}
	for try := 1; ; try++ {
		mark := newMark()
		before := ""
		if !s.AsUser {
			before = "cd /\n"
		}
		c := call{mark: mark, program: h.fleet.sh.program(mark, before, text)}
		if !s.Foreign {
			c.within = h.fleet.limits.query
		}
		result, err := h.once(ctx, s, c, s.AsUser)
		if Hangs(err) {
			return result, engine.Transient(err)
		}
		if !errors.Is(err, errLost) && !errors.Is(err, errUnsent) {
			return result, err
		}
		if try == queryTries {
			return Result{}, engine.Transient(fmt.Errorf("%w, %d times", err, try))
		}
		if err := backoff(ctx, try); err != nil {
			return Result{}, fmt.Errorf("%s: waiting to ask again: %w", h.name, err)
		}
	}
}

// Run runs a script that writes, once.
func (h *host) Run(ctx context.Context, t engine.Ticket, s Script) (answer Result, err error) {
	defer cleaned(&answer, &err)
	if !ticketID.MatchString(t.ID) {
		return Result{}, fmt.Errorf("%s: %q is no ticket: want [a-z0-9-], at most 120 characters", h.name, t.ID)
	}
	text, err := body(s)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", h.name, err)
	}
	way, err := h.trunk(ctx)
	if err != nil {
		return Result{}, err
	}
	if s.AsUser && way.e.user != "root" {
		text = h.fleet.sh.asUser(way.e.user, text)
	}
	mark := newMark()
	program := h.fleet.sh.program(mark, unhurried+h.fleet.sh.fenced(mark, t, false), text)
	result, err := h.once(ctx, s, call{mark: mark, program: program}, false)
	_, unsent := errors.AsType[*engine.TransientError](err)
	if errors.Is(err, errLost) || errors.Is(err, errUnheard) || Hangs(err) && !unsent {
		return Result{}, engine.InDoubt(err)
	}
	return result, err
}

// once performs one call and collects what it says. errLost and errUnheard mean that it may have run.
func (h *host) once(ctx context.Context, s Script, c call, asUser bool) (Result, error) {
	way, err := h.trunk(ctx)
	if err != nil {
		return Result{}, err
	}
	l, err := way.get(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := h.become(ctx, &c, way.e.user, asUser); err != nil {
		return Result{}, err
	}
	defer clear(c.password)
	if err := h.prove(ctx, way, l, c); err != nil {
		return Result{}, err
	}
	known := guarded(s.Secret, c.password)
	out, errs := newAnswer(known), newAnswer(known)
	c.stdout, c.stderr, c.foreign = &opening{word: []byte(c.mark + " begin\n"), to: out}, errs, s.Foreign
	e := l.run(ctx, c)
	if err := h.judge(e, c.mark, known); err != nil {
		return Result{}, afterWhat(err, out.SoFar())
	}
	result := Result{Stdout: out.String(), Stderr: errs.String()}
	if e.code != 0 || e.signal != "" {
		return result, &ExitError{Host: h.name, Code: e.code, Signal: e.signal, Tail: LastLines(said(result.Stderr, result.Stdout))}
	}
	return result, nil
}

func said(stderr, stdout string) string {
	if strings.TrimSpace(stderr) != "" {
		return stderr
	}
	return stdout
}

// judge turns an ending without an exit status of the text itself into an error.
func (h *host) judge(e ending, mark string, known redact.Known) error {
	if !e.begun {
		e.err = afterWhat(e.err, known.Text(e.before)) // sudo may ask for more than a password
	}
	switch {
	case errors.Is(e.err, errWrongPassword):
		return fmt.Errorf("%s: %w from %s; it was tried once, so as not to lock the account", h.name, e.err, h.want.Sudo)
	case Hangs(e.err) && !e.sent:
		return engine.Transient(fmt.Errorf("%s: %w", h.name, e.err))
	case Hangs(e.err):
		return fmt.Errorf("%s: %w", h.name, e.err)
	case errors.Is(e.err, errLost) && !e.sent:
		return engine.Transient(fmt.Errorf("%s: %w", h.name, errUnsent))
	case errors.Is(e.err, errLost):
		return fmt.Errorf("%s: %w", h.name, errLost)
	case e.err != nil && !e.sent:
		return fmt.Errorf("%s: before a command could be sent: %w", h.name, e.err)
	case e.err != nil:
		return fmt.Errorf("%s: %w: %w", h.name, errUnheard, e.err)
	case e.begun:
		return nil
	}
	return h.notBegun(e, mark, known)
}

// afterWhat tells where in its answer a host hangs: the line before.
func afterWhat(err error, said string) error {
	if !Hangs(err) {
		return err
	}
	const enough = 120
	last := LastLines(said)
	last = last[strings.LastIndexByte(last, '\n')+1:]
	if last == "" || len(last) > enough {
		return err
	}
	return fmt.Errorf("%w; its last word was %q", err, last)
}

// notBegun explains why the shell ended before it came to the text. Nothing has been done then.
func (h *host) notBegun(e ending, mark string, known redact.Known) error {
	before := known.Text(e.before)
	for line := range strings.Lines(before) {
		word, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), mark+" "), " ")
		if !strings.HasPrefix(line, mark) {
			continue
		}
		dir := h.fleet.sh.dir
		switch word {
		case "fenced":
			return fmt.Errorf("%s: %w: the host has seen epoch %s, and this is an older one; if the cluster was built anew on an old machine, remove %s/epoch there",
				h.name, engine.ErrFenced, rest, dir)
		case "damaged":
			return fmt.Errorf("%s: %s/epoch holds %q instead of a number; find out who wrote it, then remove it", h.name, dir, rest)
		case "unsafe":
			return fmt.Errorf("%s: %s must be a directory of mode 0700 that belongs to root alone, but is: %s", h.name, dir, rest)
		}
	}
	tail := LastLines(strings.ReplaceAll(before, mark, ""))
	if strings.Contains(before, "sudo:") {
		return fmt.Errorf("%s: sudo refused: %s; allow it without a password, or say in the inventory where the password is (ssh.sudo: env:NAME); examples/sudoers has the rules", h.name, tail)
	}
	return &ExitError{Host: h.name, Code: cmp.Or(e.code, 255), Signal: e.signal, Tail: "the shell ended before the command began: " + tail}
}

// backoff waits before the next try to reach a host that was lost.
func backoff(ctx context.Context, try int) error {
	return pause(ctx, min(firstBackoff<<min(try, 10), lastBackoff)+time.Duration(try)*time.Millisecond)
}
