package main

import (
	"io"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A view shows a run while it goes on. Show is called for every record of the journal, in order, once it is on the board.
// The run waits for it, so it takes note only: an outlet does the writing. Ask clears the screen for a question until the
// returned function is called. Close hands over what is left to be shown.
type view interface {
	Show(rec journal.Record)
	Ask(question string) (answered func())
	Note(line string)
	Close()
}

// The values of --output. Empty means tty on a terminal and plain elsewhere.
const (
	outputTTY   = "tty"
	outputPlain = "plain"
	outputJSON  = "json"
)

// outputMode settles --output.
func (c *console) outputMode(flag string) (string, error) {
	switch flag {
	case outputTTY, outputPlain, outputJSON:
		return flag, nil
	case "", "auto":
		if isTerminal(c.errs) && c.env["TERM"] != "dumb" && c.env["CI"] == "" {
			return outputTTY, nil
		}
		return outputPlain, nil
	default:
		return "", invalid("--output %q: want tty, plain or json", flag)
	}
}

// A heading is what stands above a view.
type heading struct {
	Run, Plan, Cluster string
	From, To           string
	Begun              time.Time
}

// newView makes the view for a mode. last gives the latest line of output of a node, if there is any.
func (c *console) newView(mode string, b *board, head heading, last func(node string) string) view {
	switch mode {
	case outputJSON:
		return newJSONView(c.out, c.errs)
	case outputTTY:
		return newTTYView(c.errs, b, head, c.style(c.errs), c.size, last)
	default:
		return newPlainView(c.errs, b, c.style(c.errs))
	}
}

// every calls do at intervals until quit is closed.
func every(interval time.Duration, quit <-chan struct{}, do func(now time.Time)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case now := <-tick.C:
			do(now)
		}
	}
}

// A quietView shows nothing.
type quietView struct{}

func (quietView) Show(journal.Record) {}
func (quietView) Ask(string) func()   { return func() {} }
func (quietView) Note(string)         {}
func (quietView) Close()              {}

// writeLine writes a line to a reader who may be gone, which is not for the program to mind.
func writeLine(w io.Writer, s string) { _, _ = io.WriteString(w, s+"\n") }
