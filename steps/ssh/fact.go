package ssh

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/redact"
)

// factLimit is how long a fact may be: facts are for versions and addresses, not for files.
const factLimit = 4 << 10

// mark begins the line that repeats the fact among the output of a job. The ticket makes it the job's own.
func mark(t engine.Ticket) string { return "fact of " + t.ID + ": " }

// caught wraps a script so that its standard output is repeated at the end, behind the mark. A job's output and errors arrive mixed;
// this is how the first line of the output is found in them. The script's exit status stays what it was, and so does set -e in
// it, which the shell forgets where somebody asks for the status at once. One that fails has no fact, but says why.
func caught(script, mark string) string {
	return "set +e\nfact=$(\nset -e\n" + script + "\n)\ncode=$?\n" +
		"if [ \"$code\" != 0 ]; then printf '%s\\n' \"$fact\"; exit \"$code\"; fi\n" +
		"printf '%s%s\\n' '" + mark + "' \"$fact\"\n"
}

// A listener passes everything on and keeps the line behind the mark.
type listener struct {
	to   io.Writer
	mark string

	mu   sync.Mutex
	line []byte // the line under way, up to what can be of interest
	got  []byte // the last line with the mark
}

// Write takes in a piece of output. It is safe for concurrent use.
func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	for rest := p; len(rest) > 0; {
		piece, after, ended := bytes.Cut(rest, []byte("\n"))
		if room := len(l.mark) + factLimit + 1 - len(l.line); room > 0 {
			l.line = append(l.line, piece[:min(room, len(piece))]...)
		}
		if ended {
			l.keep()
			l.line = l.line[:0]
		}
		rest = after
	}
	l.mu.Unlock()
	return l.to.Write(p)
}

func (l *listener) keep() {
	if value, ok := bytes.CutPrefix(l.line, []byte(l.mark)); ok {
		l.got = bytes.Clone(value)
		if l.got == nil {
			l.got = []byte{}
		}
	}
}

// fact returns the first line of the script's output.
func (l *listener) fact() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := strings.TrimRight(string(l.got), "\r")
	switch {
	case l.got == nil:
		return "", errors.New("its output was not seen to the end")
	case len(value) > factLimit:
		return "", errors.New("the first line of its output is longer than 4 KiB")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return "", errors.New("the first line of its output holds control bytes")
	case redact.Likely(value) != value || strings.Contains(value, redact.Stars):
		return "", errors.New("the first line of its output holds a secret; facts are recorded and shown")
	case value == "":
		return "", errors.New("the first line of its output is empty")
	}
	return value, nil
}
