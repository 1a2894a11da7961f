package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/term"

	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
)

// A console is the terminal, or what stands in for it, of one invocation. Progress and questions go to its standard
// error, results to its standard output.
type console struct {
	in        io.Reader
	out, errs *outlet
	env       map[string]string
	calls     *calls
	lines     func() <-chan string // what is typed, line by line; read only once somebody asks

	mu   sync.Mutex
	note func(string) // of the view that is shown; nil: none is
}

func newConsole(in io.Reader, out, errs io.Writer, env map[string]string, signals <-chan os.Signal) *console {
	c := &console{in: in, out: newOutlet(out), errs: newOutlet(errs), env: env, calls: &calls{signals: signals}}
	c.lines = sync.OnceValue(func() <-chan string {
		typed := make(chan string, 16)
		go func() {
			defer close(typed)
			for scan := bufio.NewScanner(in); scan.Scan(); {
				typed <- scan.Text()
			}
		}()
		return typed
	})
	return c
}

// waitForNobody makes everything that is written from here on independent of who reads it. mode is that of the view.
func (c *console) waitForNobody(mode, run string) {
	c.errs.QueueUp(leftOut(run))
	if mode == outputJSON {
		c.out.QueueUp(droppedRecords)
		return
	}
	c.out.QueueUp(leftOut(run))
}

// How long a reader may take nothing before what it has not read is given up: a program that reads may think for a while
// about what it has read, but a person who has asked for an end does not wait for it: together with manners it is less
// than a second.
const (
	slowest   = 10 * time.Second
	impatient = 400 * time.Millisecond
)

// flush waits until what was written has been read. What follows on the other stream then stands behind it, where both
// lead to one terminal.
func (c *console) flush() {
	patience := slowest
	if c.calls.any() {
		patience = impatient
	}
	var both sync.WaitGroup
	both.Go(func() { c.errs.Flush(patience) })
	both.Go(func() { c.out.Flush(patience) })
	both.Wait()
}

// fileOf is the file that a stream is, if it is one.
func fileOf(stream any) (*os.File, bool) {
	if o, ok := stream.(*outlet); ok {
		stream = o.to
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// isTerminal says whether a stream is one. What is not a file never is.
func isTerminal(stream any) bool {
	f, ok := fileOf(stream)
	return ok && term.IsTerminal(int(f.Fd()))
}

// canAsk says whether a person sits there to answer a question.
func (c *console) canAsk() bool { return isTerminal(c.in) && isTerminal(c.errs) }

// size is the width and height of the terminal; 80 by 24 where nobody knows. COLUMNS wins, as in most programs.
func (c *console) size() (width, height int) {
	width, height = 80, 24
	if f, ok := fileOf(c.errs); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			width, height = w, h
		}
	}
	if n, err := strconv.Atoi(c.env["COLUMNS"]); err == nil && n > 0 {
		width = n
	}
	return width, height
}

// style is how a stream of this console wants its text: see https://no-color.org for the first rule. A file or a pipe gets no
// colour, whatever the other stream is.
func (c *console) style(stream io.Writer) style {
	colour := isTerminal(stream) && c.env["NO_COLOR"] == "" && c.env["TERM"] != "dumb"
	locale := strings.ToUpper(cmp.Or(c.env["LC_ALL"], c.env["LC_CTYPE"], c.env["LANG"]))
	return style{colour: colour, ascii: !strings.Contains(strings.ReplaceAll(locale, "-", ""), "UTF8")}
}

// confirm asks a yes-or-no question before a command begins. Only y and yes are a yes; a signal ends the command.
func (c *console) confirm(ctx context.Context, question string) (bool, error) {
	c.forget()
	_, _ = fmt.Fprintf(c.errs, "%s [y/N] ", printable.Text(question))
	line, err := c.answer(ctx)
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case err != nil:
		writeLine(c.errs, "") // what is said next does not stand behind the question
	}
	return isYes(line), err
}

// forget drops what was typed before a question is shown: it was not meant as its answer.
func (c *console) forget() {
	if f, ok := c.in.(*os.File); ok {
		dropTyped(f)
	}
	for lines := c.lines(); ; {
		select {
		case _, open := <-lines:
			if !open {
				return
			}
		default:
			return
		}
	}
}

// answer waits for a line to be typed. The end of the input, as of a terminal that has gone away, is no answer: io.EOF.
func (c *console) answer(ctx context.Context) (string, error) {
	select {
	case line, open := <-c.lines():
		if !open {
			return "", io.EOF
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func isYes(answer string) bool {
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// say prints one line of progress. Whatever came from elsewhere is escaped.
func (c *console) say(format string, args ...any) {
	writeLine(c.errs, printable.Text(fmt.Sprintf(format, args...)))
}

// tell prints one line of progress at any time, also while a view is shown.
func (c *console) tell(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.note != nil {
		c.note(line)
		return
	}
	c.say("%s", line)
}

// tellBy has a view print what is told, until the returned function is called.
func (c *console) tellBy(note func(string)) (done func()) {
	set := func(note func(string)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.note = note
	}
	set(note)
	return func() { set(nil) }
}

// leaveBehind says why the program ends although its command has not, to a reader who may be the reason.
func (c *console) leaveBehind(err error) {
	c.errs.QueueUp(leftOut(""))
	c.complain(err)
	c.errs.Flush(impatient)
}

// complain says why a command ended, unless it has been said. Every fault gets its own line.
func (c *console) complain(err error) {
	var ended *runEnded
	var blocked *blockedError
	if err == nil || errors.As(err, &ended) || errors.As(err, &blocked) || errors.Is(err, errPending) || errors.Is(err, syscall.EPIPE) { // the last: a reader who has seen enough
		return
	}
	var many *multierror.Error
	if errors.As(err, &many) {
		if many.ErrorFormat != nil { // the faults of a document: it lists as many as help
			writeLine(c.errs, printable.Text(many.Error()))
			return
		}
		for _, e := range many.Errors {
			writeLine(c.errs, printable.Text(e.Error()))
		}
		return
	}
	writeLine(c.errs, "upgrader: "+printable.Text(err.Error()))
	if errors.Is(err, journal.ErrDamaged) {
		c.say("put it back as it was; if it is lost, `upgrader run` begins anew: it looks at what is done already, but scripts without `unless` it runs again")
	}
}

// oneLine makes a message fit for a line of a view: escaped, and without the line breaks that it may have.
func oneLine(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\t", " ")
	return printable.Text(strings.ReplaceAll(text, "\n", " | "))
}
