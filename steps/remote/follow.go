package remote

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"
)

// A follower reads what follow.sh sends: messages on lines that begin with the mark, and the job's output between them.
// It outlives connections: it knows how far it has come.
type follower struct {
	out io.Writer // the job's output, in order, each byte once

	mu      sync.Mutex
	delim   []byte
	held    []byte
	offset  int64 // of the next byte of the job's output
	talking bool  // between a message "at" and the next one: bytes are output
	claimed bool
	end     string // the last message's verdict
	ended   chan struct{}
}

// session prepares for the answer of a new session with its own mark. The returned writer takes its standard output.
func (f *follower) session(mark string) io.Writer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delim, f.held, f.talking = []byte("\n"+mark+" "), nil, false
	f.ended = make(chan struct{})
	return sessionWriter{f, f.ended}
}

// A sessionWriter keeps what a session sends late, after another one has begun, away from the follower.
type sessionWriter struct {
	f    *follower
	mine chan struct{}
}

func (w sessionWriter) Write(p []byte) (int, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.f.ended == w.mine {
		w.f.read(p)
	}
	return len(p), nil
}

func (f *follower) read(p []byte) {
	f.held = append(f.held, p...)
	for {
		i := bytes.Index(f.held, f.delim)
		if i < 0 {
			break
		}
		line, rest, whole := bytes.Cut(f.held[i+len(f.delim):], []byte("\n"))
		if !whole {
			f.emit(f.held[:i])
			if f.held = f.held[i:]; len(f.held) > lineCap {
				f.held, f.talking = nil, false // no message is so long
			}
			return
		}
		f.emit(f.held[:i])
		f.message(string(line))
		f.held = rest
	}
	// The beginning of a mark may be at the end; the rest is output.
	keep := overlap(f.held, f.delim)
	f.emit(f.held[:len(f.held)-keep])
	f.held = append([]byte(nil), f.held[len(f.held)-keep:]...)
}

func (f *follower) emit(p []byte) {
	if !f.talking || len(p) == 0 {
		return
	}
	f.offset += int64(len(p))
	_, _ = f.out.Write(p) // the job does not fail because its log cannot be kept
}

func (f *follower) message(m string) {
	word, rest, _ := strings.Cut(m, " ")
	f.talking = false
	switch word {
	case "at":
		if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
			f.offset, f.talking = n, true
		}
	case "claimed":
		f.claimed = true
	case "withheld":
		_, _ = io.WriteString(f.out, "[output withheld: the job had secrets that this process does not know]\n")
	case "unstarted":
		f.finish("unstarted " + rest)
	case "end":
		f.finish(rest)
	}
}

func (f *follower) finish(verdict string) {
	if f.end == "" {
		f.end = verdict
		close(f.ended)
	}
}

func (f *follower) state() (end string, claimed bool, offset int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end, f.claimed, f.offset
}
