package main

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// Calls are the signals that ask the program to end. Who has something to finish listens to them; any other command
// has its context cancelled. Who does not heed that is left behind: a command that is deep in a large plan, or waits for a
// server or a reader that does not answer, and also who listens, once the signal was one that allows of nothing more.
type calls struct {
	signals <-chan os.Signal

	mu        sync.Mutex
	listeners chan os.Signal // of who listens; nil: nobody
	came      bool           // there was one
	first     time.Time      // when it came
	outlives  bool           // the terminal's end is none
}

// manners is the time that a command has to end by itself once it was told to.
const manners = 500 * time.Millisecond

// sameSignal is the time in which a second signal is the first one again: timeout(1) and some supervisors send one to
// the process and one to its group. Fingers are slower.
const sameSignal = 100 * time.Millisecond

// insists says whether a signal allows of nothing more, not even of finishing what is under way: SIGTERM, which a
// supervisor follows with SIGKILL, and the second of any other.
func insists(sig os.Signal, first time.Time) bool {
	return sig == syscall.SIGTERM || !first.IsZero() && time.Since(first) >= sameSignal
}

// attend carries a command out and returns when it has ended, or soon after a signal that nobody listened to.
func (c *calls) attend(ctx context.Context, act func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- act(ctx) }()
	var late <-chan time.Time
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-c.signals:
			if !c.pass(sig, func() { cancel(errInterrupted) }) && late == nil {
				late = time.After(manners)
			}
		case <-late:
			return errInterrupted
		}
	}
}

// pass gives a signal to who listens, or else ends the command, and says whether the command may go on for as long as it
// likes.
func (c *calls) pass(sig os.Signal, end func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sig == syscall.SIGHUP && c.outlives {
		return true
	}
	more := !insists(sig, c.first)
	if c.came = true; c.first.IsZero() {
		c.first = time.Now()
	}
	if c.listeners == nil {
		end()
		return false
	}
	select {
	case c.listeners <- sig:
	default: // as many as anybody needs are there
	}
	return more
}

// listen takes the signals from here on until done is called.
func (c *calls) listen() (signals <-chan os.Signal, done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	heard := make(chan os.Signal, 4)
	c.listeners = heard
	return heard, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.listeners = nil
	}
}

// outliveTerminal makes the loss of the terminal no reason to end: an operator whose connection broke finds the run in
// `upgrader status`.
func (c *calls) outliveTerminal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outlives = true
}

// any says whether there was a signal.
func (c *calls) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.came
}
