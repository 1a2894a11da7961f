package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// stopTimeout is how long a job that may be stopped has for it.
const stopTimeout = 15 * time.Second

// A watch is one attempt to see a job through, over as many connections as it takes.
type watch struct {
	h     *host
	t     engine.Ticket
	m     mode
	p     placement
	known redact.Known
	f     *follower
	out   redact.Writer
	tail  *capture
	sent  bool // the job may have been launched
}

func (h *host) watch(t engine.Ticket, m mode, p placement, known redact.Known) *watch {
	w := &watch{h: h, t: t, m: m, p: p, known: known, tail: newCapture(128 << 10)}
	out := t.Out
	if out == nil {
		out = io.Discard
	}
	w.out = known.Writer(bothWriter{out, w.tail})
	w.f = &follower{out: w.out, jump: func() { _ = w.out.Flush() }} // what is held back ends there
	return w
}

// bothWriter writes to a log that may fail and to a capture that cannot.
type bothWriter struct {
	log  io.Writer
	tail *capture
}

func (b bothWriter) Write(p []byte) (int, error) {
	_, _ = b.log.Write(p) // a full disk here must not stop a job there
	return b.tail.Write(p)
}

// Do runs a durable job and waits for its end.
func (h *host) Do(ctx context.Context, t engine.Ticket, j Job) (err error) {
	defer func() { err = printable.Error(err) }()
	if !ticketID.MatchString(t.ID) {
		return fmt.Errorf("%s: %q is no ticket: want [a-z0-9-], at most 120 characters", h.name, t.ID)
	}
	way, err := h.trunk(ctx)
	if err != nil {
		return err
	}
	p, err := h.fleet.sh.place(t, j, way.e.user)
	if err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	known, err := h.guard(ctx, way.e.user, j.Secret)
	if err != nil {
		return err
	}
	w := h.watch(t, launch, p, known)
	verdict, err := w.see(ctx)
	if err != nil {
		if ctx.Err() != nil && w.sent && j.Safe {
			if stopErr := h.stop(t); stopErr != nil {
				return fmt.Errorf("%w; %w", err, stopErr)
			}
		}
		return err
	}
	if len(j.Secret) > 0 || w.out.Found() {
		w.forget(ctx)
	}
	return w.outcome(verdict)
}

// Settle waits until the job of a ticket has ended and makes sure that it never starts if it has not.
func (f *Fleet) Settle(ctx context.Context, target engine.Target, t engine.Ticket) (fate engine.Settlement, err error) {
	defer func() { fate.Err, err = printable.Error(fate.Err), printable.Error(err) }()
	h, err := f.host(target.Name)
	if err != nil {
		return engine.Settlement{}, err
	}
	if !ticketID.MatchString(t.ID) {
		return engine.Settlement{}, fmt.Errorf("%s: %q is no ticket: want [a-z0-9-], at most 120 characters", h.name, t.ID)
	}
	w, err := h.settling(ctx, t)
	if err != nil {
		return engine.Settlement{}, err
	}
	verdict, err := w.see(ctx)
	if err != nil {
		return engine.Settlement{}, err
	}
	w.clear(ctx, verdict)
	switch word, _, _ := strings.Cut(verdict, " "); word {
	case "rc":
		err := w.outcome(verdict)
		if _, unknown := errors.AsType[*engine.InDoubtError](err); unknown {
			return engine.Settlement{Fate: engine.Cut, Err: err}, nil
		}
		return engine.Settlement{Fate: engine.Ended, Err: err}, nil
	case "cut":
		return engine.Settlement{Fate: engine.Cut, Err: w.outcome(verdict)}, nil
	case "abandoned", "unstarted":
		if _, began := h.gone.Load(t.ID); began {
			return engine.Settlement{Fate: engine.Cut, Err: w.outcome("gone")}, nil
		}
		return engine.Settlement{Fate: engine.NeverStarted}, nil
	}
	return engine.Settlement{}, w.outcome(verdict)
}

// settling is a watch that knows the host's password. The secrets of the job's script are known to nobody any more.
func (h *host) settling(ctx context.Context, t engine.Ticket) (*watch, error) {
	way, err := h.trunk(ctx)
	if err != nil {
		return nil, err
	}
	known, err := h.guard(ctx, way.e.user, nil)
	if err != nil {
		return nil, err
	}
	return h.watch(t, settle, placement{}, known), nil
}

// see follows the job until there is a verdict. A lost connection is no event in a job's life: it is made again as long
// as ctx lives.
func (w *watch) see(ctx context.Context) (string, error) {
	for try := 0; ; try++ {
		began := time.Now()
		err := w.session(ctx)
		verdict, claimed, _ := w.f.state()
		if verdict != "" {
			_ = w.out.Flush()
			return verdict, nil
		}
		if claimed {
			w.sent = true
			if w.m == launch {
				w.m = attach
			}
		}
		if time.Since(began) > lastBackoff {
			try = 0 // one that drops every connection at once is asked less and less often
		}
		if final := w.final(ctx, err); final != nil {
			_ = w.out.Flush()
			return "", final
		}
		if err := backoff(ctx, try); err != nil {
			return "", w.doubt(fmt.Errorf("%s: waiting to connect again: %w", w.h.name, err))
		}
	}
}

// final says whether an error ends the watch, and with which error.
func (w *watch) final(ctx context.Context, err error) error {
	_, transient := errors.AsType[*engine.TransientError](err)
	switch {
	case errors.Is(err, engine.ErrFenced):
		return err
	case ctx.Err() != nil:
		return w.doubt(err)
	case errors.Is(err, errLost) || Hangs(err) && !transient:
		return nil // it may have been sent; ask
	case transient && (w.sent || w.m == settle):
		return nil
	}
	return w.doubt(err)
}

// doubt marks an error as one after which the job may be running.
func (w *watch) doubt(err error) error {
	if w.sent && w.m != settle {
		return engine.InDoubt(fmt.Errorf("the job %q: %w", w.p.name, err))
	}
	return err
}

// session follows the job over one session.
func (w *watch) session(ctx context.Context) error {
	way, err := w.h.trunk(ctx)
	if err != nil {
		return err
	}
	l, err := way.get(ctx)
	if err != nil {
		return err
	}
	_, _, offset := w.f.state()
	p := w.p
	if w.m != launch {
		p.text = "" // it is there already
	}
	c := call{mark: newMark()}
	c.program = w.h.fleet.sh.jobProgram(c.mark, w.m, w.t, p, offset, l.trusted.Load())
	if err := w.h.become(ctx, &c, way.e.user, false); err != nil {
		return err
	}
	defer clear(c.password)
	if err := w.h.prove(ctx, way, l, c); err != nil {
		return err
	}
	complaints := newCapture(64 << 10)
	c.stdout, c.stderr = w.f.session(c.mark), complaints
	c.enough = w.f.ended
	e := l.run(ctx, c)
	if e.begun {
		l.trusted.Store(true)
	}
	w.sent = w.sent || e.sent && (e.begun || e.err != nil)
	if err := w.h.judge(e, c.mark, w.known); err != nil {
		return err
	}
	if end, _, _ := w.f.state(); end != "" {
		return nil
	}
	return fmt.Errorf("%s: following the job: %w", w.h.name,
		&ExitError{Host: w.h.name, Code: e.code, Signal: e.signal, Tail: LastLines(w.known.Text(complaints.String()))})
}

// outcome is what Do returns for a verdict.
func (w *watch) outcome(verdict string) error {
	word, rest, _ := strings.Cut(verdict, " ")
	switch word {
	case "rc":
		code, err := strconv.Atoi(strings.TrimSpace(rest))
		if err != nil {
			return engine.InDoubt(fmt.Errorf("%s: the exit status of job %s reads %q", w.h.name, w.t.ID, rest))
		}
		if code == 0 {
			return nil
		}
		return &ExitError{Host: w.h.name, Code: code, Signal: signalOf(code), Tail: LastLines(w.tail.String())}
	case "cut":
		why := "its processes were killed"
		if rest == "reboot" {
			why = "the host was rebooted"
		}
		return engine.InDoubt(fmt.Errorf("%s: the job was cut: %s", w.h.name, why))
	case "unstarted":
		return fmt.Errorf("%s: the job could not be started, and never will be: %s", w.h.name, LastLines(w.known.Text(rest)))
	case "abandoned":
		return fmt.Errorf("%s: the ticket %s was given up before its job started, and needs a new one: %s", w.h.name, w.t.ID, LastLines(w.known.Text(rest)))
	}
	w.h.gone.Store(w.t.ID, true)
	return engine.InDoubt(fmt.Errorf("%s: the record of job %s is gone from %s; somebody removed it", w.h.name, w.t.ID, w.h.fleet.sh.dir))
}

// signalOf names the signal that a shell's exit status stands for, where nothing else uses that status.
func signalOf(code int) string {
	switch code {
	case 128 + 6:
		return "ABRT"
	case 128 + 9:
		return "KILL"
	case 128 + 11:
		return "SEGV"
	case 128 + 15:
		return "TERM"
	}
	return ""
}

// stop ends a job that may be stopped half-way. It has its own time, since the caller's has run out.
func (h *host) stop(t engine.Ticket) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), stopTimeout, fmt.Errorf("no answer within %s", stopTimeout))
	defer cancel()
	if err := h.aside(ctx, t, stopScript); err != nil {
		return fmt.Errorf("stopping the job: %w", err)
	}
	return nil
}

// aside runs a script that concerns the job of a ticket and is none of its effects.
func (h *host) aside(ctx context.Context, t engine.Ticket, script string) error {
	mark := newMark()
	program := h.fleet.sh.program(mark, h.fleet.sh.fenced(mark, t, false), script)
	_, err := h.once(ctx, Script{}, call{mark: mark, program: program}, false)
	return err
}
