package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"upgrader.dev/upgrader/engine/printable"
)

// preambleCap bounds what is kept of what a login prints before the program begins: banners, sudo's lecture.
const preambleCap = 64 << 10

// A call is one program for a shell on a host.
type call struct {
	command  string // that gives the shell; constant, the program comes over standard input
	program  string // without the closing lines
	mark     string
	password []byte // for sudo, when it asks; nil: it must not ask
	stdout   io.Writer
	stderr   io.Writer
	enough   <-chan struct{} // when closed, the rest does not matter
	within   time.Duration   // how long it may take; 0: as long as its asker waits
	foreign  bool            // no other program has its shell after it
}

// An ending is how a call ended.
type ending struct {
	sent   bool   // the program may have run
	begun  bool   // its text certainly began
	code   int    // exit status
	signal string // that ended it
	before string // what was on standard error before the text began
	err    error  // the exit status is unknown: errLost, a silence, or the context's error
}

// The ways to a shell, the last two as root. The prompt is a word that nothing else prints; the shell says when it is
// reached, since sudo would read the program as a second password otherwise, and since only then sudo has answered. A user
// whose number is 0 is root by whatever name, and sudo may know of none such.
const (
	plainShell  = "/bin/sh -c '" + attended + "'"
	sudoQuiet   = "/bin/sh -c '" + unlessRoot + "exec sudo -n /bin/sh -c \"$0\"' '" + attended + "'"
	sudoPrompts = "/bin/sh -c '" + unlessRoot + "exec sudo -k -S -p %[1]s-password /bin/sh -c \"$0\"' '" + attended + "'"
	unlessRoot  = `[ "$(id -u)" = 0 ] && exec /bin/sh -c "$0"; `
)

// attended is a shell that is not alone: where the one who listens has gone, for whatever reason, what it runs gets a second
// to end by itself, then SIGTERM, and ten seconds later SIGKILL, with all of its process group. sshd by itself tells
// nobody, and a program that hangs would keep one of the few sessions that a host allows.
//
// What the listener sends comes through cat, which sees its end while the shell waits for a program. The first process is
// who sshd asks for an end: it has one as soon as the shell has.
const attended = `echo %[1]s-ready >&2; trap "exit 2" USR1; exec 3<&0; ` +
	`{ exec 2>/dev/null; trap t=1 TERM; cat <&3; exec >&- 3<&-; sleep 1; ` +
	`if [ "$t" ] || kill -0 $$; then kill -s TERM 0; sleep 10; kill -s KILL 0; fi; } | ` +
	`{ exec 3<&-; /bin/sh; kill -s USR1 $$; } & wait`

var errWrongPassword = errors.New("sudo did not accept the password")

// leftover is how long a program may go on after its reader has enough, before its shell is given up with it.
const leftover = 100 * time.Millisecond

// patience is how long a foreign program may take to begin in a shell that is there, before the shell is told that nothing
// follows it. One whose end the shell does not find, as in a text that opens a quote and never closes it, is an error then
// instead of a long silence.
const patience = time.Second

// run performs a call. It returns when the program has ended, when its reader has enough, or when ctx ends. A shell that
// has stood idle may have died: what ends with it and had not begun is begun again in another one.
func (l *link) run(ctx context.Context, c call) ending {
	for {
		s, release, err := l.shell(ctx, c.command)
		if err != nil {
			return ending{err: err}
		}
		stale := !s.fresh
		e := l.runIn(ctx, s, release, c)
		if !stale || e.begun || e.err != nil || s.alive() {
			return e
		}
	}
}

func (l *link) runIn(ctx context.Context, s *standing, release func(), c call) ending {
	pre := newPreamble(c.mark, s.mark, c.stderr)
	d := &delivery{call: c, link: l, shell: s, pre: pre, out: newFrame(c.mark, c.stdout), errs: newFrame(c.mark, pre)}
	fresh := s.fresh
	l.lend(s, d)
	ended := make(chan ending, 1)
	go func() {
		defer release()
		e := d.deliver()
		if d.whole() && e.err == nil && !c.foreign {
			l.keep(s)
		} else {
			_ = s.session.Close()
		}
		ended <- e
	}()
	silence, stop := l.limits.watch(c, fresh, pre)
	defer stop()
	select {
	case e := <-ended:
		return e
	case <-c.enough:
		limit := time.NewTimer(leftover)
		defer limit.Stop()
		select {
		case <-ended:
		case <-limit.C:
			l.end(s, d, release)
		}
		return ending{sent: true, begun: true}
	case err := <-silence:
		l.end(s, d, release)
		if !pre.hasBegun() {
			l.retire() // its session may be one of the host's few for as long as this lasts
		}
		e := pre.ending(d.started(), nil)
		e.err = err
		return e
	case <-ctx.Done():
		l.end(s, d, release)
		return ending{sent: d.started(), begun: pre.hasBegun(), err: ctx.Err()}
	case <-l.gone:
		return ending{sent: d.started(), begun: pre.hasBegun(), err: errLost}
	}
}

// A delivery is a call on its way to a shell.
type delivery struct {
	call
	link      *link
	shell     *standing
	pre       *preamble
	out, errs *frame

	mu   sync.Mutex
	sent bool // the last line of the program may have been
}

func (d *delivery) started() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sent
}

// whole says whether the program has ended and its shell has not.
func (d *delivery) whole() bool { return d.out.over() && d.errs.over() }

// deliver answers sudo, sends the program and waits for its end.
func (d *delivery) deliver() ending {
	if d.password != nil && d.shell.fresh {
		if err := d.answerSudo(); err != nil {
			return d.pre.ending(false, err)
		}
	}
	if _, err := io.WriteString(d.shell.stdin, d.program); err == nil {
		d.mu.Lock()
		d.sent = true // from here on it may run, whatever the next write says
		d.mu.Unlock()
		_, _ = io.WriteString(d.shell.stdin, closing(d.mark))
	}
	if d.foreign {
		defer d.doubtEnd()()
	}
	for _, f := range []*frame{d.out, d.errs} {
		select {
		case <-f.done:
		case <-d.shell.exited:
			if !d.whole() {
				return d.pre.ending(d.started(), d.shell.err)
			}
		}
	}
	e := d.pre.ending(true, nil)
	e.code, e.err = d.out.status()
	return e
}

// doubtEnd closes the shell's input unless the program has begun soon after the shell was there. The shell is of no use
// for another program then.
func (d *delivery) doubtEnd() (stop func()) {
	over := make(chan struct{})
	go func() {
		if d.shell.fresh {
			select {
			case <-d.pre.ready:
			case <-over:
				return
			}
		}
		silence := time.NewTimer(patience)
		defer silence.Stop()
		select {
		case <-silence.C:
		case <-over:
			return
		}
		if !d.pre.hasBegun() && d.link.giveUp(d.shell, d) {
			_ = d.shell.stdin.Close()
		}
	}()
	return func() { close(over) }
}

// answerSudo gives the password once, and never to anything but the prompt.
func (d *delivery) answerSudo() error {
	select {
	case <-d.pre.ready:
		return nil // it did not ask
	case <-d.shell.exited:
		return d.shell.err
	case <-d.pre.prompts:
	}
	line := append(bytes.Clone(d.password), '\n')
	_, err := d.shell.stdin.Write(line)
	clear(line)
	if err != nil {
		return errLost
	}
	select {
	case <-d.pre.ready:
		return nil
	case <-d.pre.prompts:
		return errWrongPassword
	case <-d.shell.exited:
		return d.shell.err
	}
}

// A preamble stands before standard error until the program's text begins, and looks for the words of the agreement.
type preamble struct {
	mark    string
	sudo    string // the mark of the shell, that sudo prints
	to      io.Writer
	ready   chan struct{} // closed when sudo's shell is there
	prompts chan struct{} // one for each time sudo asks

	mu      sync.Mutex
	held    []byte
	begun   bool
	isReady bool
	asked   int
}

func newPreamble(mark, sudo string, to io.Writer) *preamble {
	return &preamble{mark: mark, sudo: sudo, to: to, ready: make(chan struct{}), prompts: make(chan struct{}, 4)}
}

func (p *preamble) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun {
		return p.to.Write(b)
	}
	p.held = append(p.held, b...)
	if over := len(p.held) - preambleCap; over > 0 {
		p.held = p.held[over:]
	}
	if begin := []byte(p.mark + " begin\n"); bytes.Contains(p.held, begin) {
		before, after, _ := bytes.Cut(p.held, begin)
		p.begun, p.held = true, before
		if len(after) > 0 {
			_, err := p.to.Write(after)
			return len(b), err
		}
		return len(b), nil
	}
	if !p.isReady && bytes.Contains(p.held, []byte(p.sudo+"-ready\n")) {
		p.isReady = true
		close(p.ready)
	}
	for n := bytes.Count(p.held, []byte(p.sudo+"-password")); p.asked < n && p.asked < cap(p.prompts); p.asked++ {
		p.prompts <- struct{}{}
	}
	return len(b), nil
}

func (p *preamble) hasBegun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// ending translates what the ssh library says about the end of a session. A session without an exit status was lost:
// the connection broke, or the host's sshd process for it died.
func (p *preamble) ending(sent bool, err error) ending {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := ending{sent: sent, begun: p.begun, before: strings.NewReplacer(p.sudo+"-password", "", p.sudo+"-ready\n", "").Replace(string(p.held))}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		e.code, e.signal = exit.ExitStatus(), printable.Cut(exit.Signal(), printable.Word)
		return e
	}
	switch {
	case err == nil:
	case errors.Is(err, errWrongPassword):
		e.err = err
	default:
		e.err = errLost
	}
	return e
}
