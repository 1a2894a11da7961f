package main

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// Calls are the signals that ask the program to end. Who has something to finish listens to them; any other command
// has its context cancelled, and is left behind if it does not heed that: one that is deep in a large plan, or waits for a
// server or a reader that does not answer.
type calls struct {
	signals <-chan os.Signal

	mu        sync.Mutex
	listeners chan os.Signal // of who listens; nil: nobody
	came      bool           // there was one
	outlives  bool           // the terminal's end is none
}

// manners is the time that a command has to end by itself once it was told to.
const manners = 500 * time.Millisecond

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

// pass gives a signal to who listens, or else ends the command, and says whether the command may go on.
func (c *calls) pass(sig os.Signal, end func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sig == syscall.SIGHUP && c.outlives {
		return true
	}
	c.came = true
	if c.listeners == nil {
		end()
		return false
	}
	select {
	case c.listeners <- sig:
	default: // as many as anybody needs are there
	}
	return true
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
