package remote

import (
	"errors"
	"fmt"
	"time"
)

// Limits are how long a host may take for each part of a call, before it counts as one that hangs.
type limits struct {
	session time.Duration // to open a session, and to take the order for a shell: that is sshd's alone
	begin   time.Duration // from there until the program begins: login, sudo and whom PAM has it ask, the lock of the state
	query   time.Duration // for a question of this program's own; what a plan's author asks has his own timeout
}

// usualLimits are those of a host that is well, or nearly so: where a name server is away, a login and sudo take ten or
// twenty seconds.
func usualLimits() limits {
	return limits{session: 15 * time.Second, begin: 30 * time.Second, query: 3 * time.Minute}
}

// A silence is why a call was given up: what it hangs in, and for how long.
type silence struct {
	what  string
	since time.Duration
}

func (s *silence) Error() string { return fmt.Sprintf("%s has not answered for %s", s.what, s.since) }

// Hangs says whether an error tells of a host that did not answer in time although its connection stands.
func Hangs(err error) bool {
	_, is := errors.AsType[*silence](err)
	return is
}

// watch tells when a call that has its shell takes too long, and in what.
func (l limits) watch(c call, fresh bool, pre *preamble) (late <-chan error, stop func()) {
	told := make(chan error, 2)
	begin := time.AfterFunc(l.begin, func() {
		if !pre.hasBegun() {
			told <- &silence{pre.waitsFor(c, fresh), l.begin}
		}
	})
	if c.within == 0 {
		return told, func() { begin.Stop() }
	}
	answer := time.AfterFunc(c.within, func() { told <- &silence{"what it was asked", c.within} })
	return told, func() { begin.Stop(); answer.Stop() }
}

// waitsFor names what stands between a program and its beginning.
func (p *preamble) waitsFor(c call, fresh bool) string {
	switch {
	case !fresh || closed(p.ready):
		return "its shell, before the command began (the lock or the disk of the state directory may hang),"
	case c.command == plainShell:
		return "the login shell"
	}
	return "sudo"
}

// retire has nobody new use a connection on which the host does not answer. It is closed when nobody has a session on it any
// more, and nobody goes through it to another host.
func (l *link) retire() {
	l.worn.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeIfLeft()
}

// leave gives a session's room back.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	<-l.slots
	l.closeIfLeft()
}

func (l *link) closeIfLeft() {
	if l.worn.Load() && len(l.slots) == l.lost && l.through == 0 {
		go func() { _ = l.client.Close() }() // which may wait for a jump host
	}
}
