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
	out  io.Writer // the job's output, in order, each byte once
	jump func()    // if given, called where the host has dropped some of it

	mu       sync.Mutex
	delim    []byte
	held     []byte
	offset   int64 // of the next byte of the job's output
	talking  bool  // between a message "at" and the next one: bytes are output
	claimed  bool
	withheld bool   // there was output that this process must not see
	end      string // the last message's verdict
	ended    chan struct{}
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
	text := p
	if len(f.held) > 0 {
		f.held = append(f.held, p...)
		text = f.held
	}
	for {
		i := bytes.Index(text, f.delim)
		if i < 0 {
			break
		}
		f.emit(text[:i])
		line, rest, whole := bytes.Cut(text[i+len(f.delim):], []byte("\n"))
		if !whole {
			f.held = append(f.held[:0], text[i:]...)
			if len(f.held) > lineCap {
				f.held, f.talking = nil, false // no message is so long
			}
			return
		}
		f.message(string(line))
		text = rest
	}
	// The beginning of a mark may be at the end; the rest is output.
	keep := overlap(text, f.delim)
	f.emit(text[:len(text)-keep])
	f.held = append(f.held[:0], text[len(text)-keep:]...)
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
			if n != f.offset && f.jump != nil {
				f.jump()
			}
			f.offset, f.talking = n, true
		}
	case "claimed":
		f.claimed = true
	case "withheld":
		f.withheld = true
		_, _ = io.WriteString(f.out, "[output withheld: the job had secrets that this process does not know]\n")
	case "unstarted":
		f.finish("unstarted " + rest)
	case "end":
		f.finish(rest)
	}
}

// isWithheld says whether there was output that this process must not see.
func (f *follower) isWithheld() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.withheld
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
