package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo-terminal: what a person holds, and what the program gets.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// TestQuestionsAtATerminal proves that a question is answered by what is typed after it, never by what was typed before,
// and that a signal is neither yes nor no.
func TestQuestionsAtATerminal(t *testing.T) {
	for _, tt := range []struct {
		before, typed string
		signal        bool
		want          bool
	}{
		{typed: "y\n", want: true},
		{typed: "YES\n", want: true},
		{typed: "\n"},
		{typed: "sure\n"},
		{before: "y\ny\n", typed: "n\n"},
		{signal: true},
	} {
		person, program := openTerminal(t)
		signals := make(chan os.Signal, 1)
		c := newConsole(program, io.Discard, program, nil, signals)
		if !c.canAsk() {
			t.Fatal("a pseudo-terminal is no terminal")
		}
		if _, err := io.WriteString(person, tt.before); err != nil {
			t.Fatal(err)
		}
		go func() {
			if !readUntil(person, "[y/N] ") {
				return
			}
			if tt.signal {
				signals <- os.Interrupt
				return
			}
			_, _ = io.WriteString(person, tt.typed)
		}()
		var yes bool
		err := c.calls.attend(t.Context(), func(ctx context.Context) (err error) {
			yes, err = c.confirm(ctx, "Go ahead?")
			return err
		})
		if yes != tt.want || (exitCode(err) == exitInterrupted) != tt.signal {
			t.Errorf("%+v: answer %v, %v", tt, yes, err)
		}
	}
}

func readUntil(r io.Reader, text string) bool {
	var seen bytes.Buffer
	for b := bufio.NewReader(r); ; {
		c, err := b.ReadByte()
		if err != nil {
			return false
		}
		if seen.WriteByte(c); bytes.HasSuffix(seen.Bytes(), []byte(text)) {
			return true
		}
	}
}

// TestOutputMode proves what --output means where.
func TestOutputMode(t *testing.T) {
	_, terminal := openTerminal(t)
	for _, tt := range []struct {
		flag string
		errs io.Writer
		env  map[string]string
		want string
	}{
		{"", io.Discard, nil, outputPlain},
		{"", terminal, nil, outputTTY},
		{"", terminal, map[string]string{"TERM": "dumb"}, outputPlain},
		{"", terminal, map[string]string{"CI": "true"}, outputPlain},
		{"json", terminal, nil, outputJSON},
		{"tty", io.Discard, nil, outputTTY},
	} {
		got, err := newConsole(nil, io.Discard, tt.errs, tt.env, nil).outputMode(tt.flag)
		if err != nil || got != tt.want {
			t.Errorf("--output %q, env %v: %q, %v; want %q", tt.flag, tt.env, got, err, tt.want)
		}
	}
	if c := newConsole(nil, io.Discard, terminal, map[string]string{"NO_COLOR": "1"}, nil); c.style(terminal).colour {
		t.Error("coloured in spite of NO_COLOR")
	}
	if c := newConsole(nil, io.Discard, terminal, nil, nil); c.style(io.Discard).colour || !c.style(terminal).colour {
		t.Error("the colour of one stream goes by the other")
	}
}
