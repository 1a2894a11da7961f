package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// A standing is a shell on a host that runs one program after the other, over one session: to open a session, to log in,
// and to have sudo look at its rules for every question would cost a host more than the question.
type standing struct {
	command   string
	session   *ssh.Session
	stdin     io.WriteCloser
	out, errs relay
	mark      string        // that sudo and the shell use until the shell is reached
	fresh     bool          // no program has ended in it yet
	exited    chan struct{} // closed when it is gone
	err       error         // why; for those who have seen exited

	// Guarded by the link's lock:
	user    *delivery // who has it now; nil: it stands idle
	givenUp bool      // nobody is to have it after its user
}

// shell finds a shell for a command, or opens one. The caller gives its slot back with the function returned.
func (l *link) shell(ctx context.Context, command string) (*standing, func(), error) {
	var found *standing
	s, release, err := l.session(ctx, func() bool {
		found = l.take(command)
		return found != nil
	})
	if err != nil || found != nil {
		return found, release, err
	}
	opened, err := l.openWithin(ctx, s, command)
	if err != nil {
		go func() { _ = s.Close() }() // which waits where nothing can be sent
		release()
		return nil, nil, err
	}
	return opened, release, nil
}

// openWithin is open for no longer than ctx, and than a host may take: one that is in trouble may never answer.
func (l *link) openWithin(ctx context.Context, s *ssh.Session, command string) (*standing, error) {
	type outcome struct {
		opened *standing
		err    error
	}
	answer := make(chan outcome, 1)
	go func() {
		opened, err := open(s, command)
		answer <- outcome{opened, err}
	}()
	select {
	case o := <-answer:
		if o.err != nil {
			return nil, fmt.Errorf("%w: starting a shell: %w", errLost, o.err)
		}
		return o.opened, nil
	case <-time.After(l.limits.session):
		l.retire()
		return nil, &silence{"sshd, told to start a shell,", l.limits.session}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func open(s *ssh.Session, command string) (*standing, error) {
	h := &standing{command: command, session: s, mark: newMark(), fresh: true, exited: make(chan struct{})}
	s.Stdout, s.Stderr = &h.out, &h.errs
	var err error
	if h.stdin, err = s.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.Start(fmt.Sprintf(command, h.mark)); err != nil {
		return nil, err
	}
	go func() {
		h.err = s.Wait()
		if h.err == nil {
			h.err = errLost // an end without a word is never taken for success
		}
		close(h.exited)
	}()
	return h, nil
}

// take returns a shell that stands idle. Where there is none, those of other commands make room for one.
func (l *link) take(command string) *standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.idle) > 0 {
		last := len(l.idle) - 1
		s := l.idle[last]
		l.idle = l.idle[:last]
		if s.alive() && s.command == command {
			return s
		}
		_ = s.session.Close()
	}
	return nil
}

// lend gives a shell to a user, with what it has said so far.
func (l *link) lend(s *standing, user *delivery) {
	l.mu.Lock()
	s.user = user
	l.mu.Unlock()
	s.out.to(user.out)
	s.errs.to(user.errs)
}

func (s *standing) alive() bool { return !closed(s.exited) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// keep has a shell whose program has ended stand idle, or ends it if it was given up.
func (l *link) keep(s *standing) {
	s.out.to(io.Discard)
	s.errs.to(io.Discard)
	s.fresh = false
	l.mu.Lock()
	defer l.mu.Unlock()
	s.user = nil
	if s.givenUp {
		_ = s.session.Close()
		return
	}
	l.idle = append(l.idle, s)
}

// giveUp sees to it that nobody has a shell after its user, and says whether he still has it.
func (l *link) giveUp(s *standing, user *delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.user != user {
		return false
	}
	s.givenUp = true
	return true
}

// end ends a shell with what runs in it, while this user still has it. It does not wait for that: where nothing can be sent,
// the goodbye waits too. sshd calls a session ended when its process has; where that takes too long, the room is given back
// on a connection that nobody new gets.
func (l *link) end(s *standing, user *delivery, release func()) {
	if !l.giveUp(s, user) {
		return
	}
	go func() {
		late := time.AfterFunc(l.limits.session, func() {
			l.retire()
			release()
		})
		defer late.Stop()
		_ = s.session.Signal(ssh.SIGTERM) // where the server passes it on, it is heard a second earlier
		_ = s.session.Close()
		select {
		case <-s.exited:
		case <-l.gone:
		}
	}()
}

// A relay hands what comes to whom it is for at the moment, and keeps what comes before it is for anybody.
type relay struct {
	mu    sync.Mutex
	w     io.Writer
	early []byte
}

func (r *relay) to(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = w.Write(r.early)
	r.w, r.early = w, nil
}

func (r *relay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.w == nil {
		r.early = append(r.early, p[:min(len(p), preambleCap-len(r.early))]...)
		return len(p), nil
	}
	return r.w.Write(p)
}

// A frame passes on what a program prints until its shell says that it has ended.
type frame struct {
	delim []byte
	w     io.Writer
	held  []byte // what may be the beginning of the shell's word
	word  string // that follows: the exit status
	done  chan struct{}
}

func newFrame(mark string, w io.Writer) *frame {
	return &frame{delim: []byte(mark + " done"), w: w, done: make(chan struct{})}
}

func (f *frame) Write(p []byte) (int, error) {
	if f.over() {
		return len(p), nil
	}
	text := p
	if len(f.held) > 0 {
		f.held = append(f.held, p...)
		text = f.held
	}
	i := bytes.Index(text, f.delim)
	if i < 0 {
		keep := overlap(text, f.delim)
		_, _ = f.w.Write(text[:len(text)-keep])
		f.held = append(f.held[:0], text[len(text)-keep:]...)
		return len(p), nil
	}
	_, _ = f.w.Write(text[:i])
	f.held = append(f.held[:0], text[i:]...)
	line, _, whole := bytes.Cut(f.held[len(f.delim):], []byte("\n"))
	if whole || len(line) > lineCap { // no status is so long
		f.word, f.held = strings.TrimSpace(string(line[:min(len(line), lineCap)])), nil
		close(f.done)
	}
	return len(p), nil
}

func (f *frame) over() bool { return closed(f.done) }

// status is the program's exit status, once it is over.
func (f *frame) status() (int, error) {
	n, err := strconv.Atoi(f.word)
	if err != nil {
		return 0, errors.Join(errLost, err)
	}
	return n, nil
}

// overlap is how much of the end of p may be the beginning of a word.
func overlap(p, word []byte) int {
	for n := min(len(word)-1, len(p)); n > 0; n-- {
		if bytes.HasSuffix(p, word[:n]) {
			return n
		}
	}
	return 0
}
