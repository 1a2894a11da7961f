// Package remotetest has pretend hosts for the tests of steps: no network, no shell, a function answers. It may import
// remote and the engine.
package remotetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

var (
	_ remote.Host  = (*Host)(nil)
	_ remote.Hosts = Hosts(nil)
)

// Host is a remote.Host whose answers are functions of the test. The zero Host answers nothing: every call is an error
// that shows the script, so that a table notices a question it did not expect.
type Host struct {
	HostName string

	// Answer answers Query and Run. It is called from one goroutine at a time.
	Answer func(remote.Script) (remote.Result, error)

	// Did is what became of a job. It is called once per ticket; a later Do with the same ticket gets the same error,
	// unless that was an engine.InDoubt. It is called from one goroutine at a time.
	Did func(engine.Ticket, remote.Job) error

	mu     sync.Mutex
	calls  []Call
	ended  map[string]error
	fenced int64
}

// A Call is one method called on a Host, for tests that look at what was asked rather than at what came of it.
type Call struct {
	Method string        // "Query", "Run" or "Do"
	Ticket engine.Ticket // zero for Query
	Job    remote.Job    // Query and Run have only its Script
}

// Name returns HostName.
func (h *Host) Name() string { return h.HostName }

// Query calls Answer.
func (h *Host) Query(ctx context.Context, s remote.Script) (remote.Result, error) {
	if err := ctx.Err(); err != nil {
		return remote.Result{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, Call{Method: "Query", Job: remote.Job{Script: s}})
	return h.answer(s)
}

// Run calls Answer, after the epoch of the ticket has been compared with the largest one seen.
func (h *Host) Run(ctx context.Context, t engine.Ticket, s remote.Script) (remote.Result, error) {
	if err := ctx.Err(); err != nil {
		return remote.Result{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, Call{Method: "Run", Ticket: t, Job: remote.Job{Script: s}})
	if err := h.fence(t); err != nil {
		return remote.Result{}, err
	}
	return h.answer(s)
}

// Do calls Did, once per ticket.
func (h *Host) Do(ctx context.Context, t engine.Ticket, j remote.Job) error {
	if err := ctx.Err(); err != nil {
		return engine.InDoubt(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, Call{Method: "Do", Ticket: t, Job: j})
	if err := h.fence(t); err != nil {
		return err
	}
	if err, ok := h.ended[t.ID]; ok {
		return err
	}
	if h.Did == nil {
		return fmt.Errorf("%s: the test expected no job, got %q: %s", h.HostName, j.Name, j.Text)
	}
	err := h.Did(t, j)
	if _, doubt := errors.AsType[*engine.InDoubtError](err); !doubt {
		if h.ended == nil {
			h.ended = map[string]error{}
		}
		h.ended[t.ID] = err
	}
	return err
}

// Calls returns every call so far, in order.
func (h *Host) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

func (h *Host) answer(s remote.Script) (remote.Result, error) {
	if h.Answer == nil {
		return remote.Result{}, fmt.Errorf("%s: the test expected no script, got: %s", h.HostName, s.Text)
	}
	return h.Answer(s)
}

func (h *Host) fence(t engine.Ticket) error {
	if t.Epoch < h.fenced {
		return engine.ErrFenced
	}
	h.fenced = t.Epoch
	return nil
}

// Hosts finds pretend hosts by their name.
type Hosts map[string]*Host

// Host returns the host of that name, with HostName filled in where it was empty, or an error.
func (hs Hosts) Host(name string) (remote.Host, error) {
	h, ok := hs[name]
	if !ok {
		return nil, fmt.Errorf("no host is called %q", name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.HostName == "" {
		h.HostName = name
	}
	return h, nil
}

// One returns Hosts with this one host, called name.
func One(name string, h *Host) Hosts {
	h.HostName = name
	return Hosts{name: h}
}

// Says returns an Answer that says the same to every script.
func Says(stdout string) func(remote.Script) (remote.Result, error) {
	return func(remote.Script) (remote.Result, error) { return remote.Result{Stdout: stdout}, nil }
}

// Exits returns an Answer that fails every script with this status and tail.
func Exits(code int, tail string) func(remote.Script) (remote.Result, error) {
	return func(remote.Script) (remote.Result, error) {
		return remote.Result{Stderr: tail}, &remote.ExitError{Code: code, Tail: tail}
	}
}
