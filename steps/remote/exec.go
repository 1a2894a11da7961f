package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// preambleCap bounds what is kept of what a login prints before the program begins: banners, sudo's lecture.
const preambleCap = 64 << 10

// A call is one program for one session.
type call struct {
	command  string // constant; the program comes over standard input
	program  string // without the closing line
	mark     string
	password []byte // for sudo, when it asks; nil: it must not ask
	stdout   io.Writer
	stderr   io.Writer
	enough   <-chan struct{} // when closed, the rest does not matter
}

// An ending is how a call ended.
type ending struct {
	sent   bool   // the program may have run
	begun  bool   // its text certainly began
	code   int    // exit status
	signal string // that ended it
	before string // what was on standard error before the text began
	err    error  // the exit status is unknown: errLost, or the context's error
}

// The two ways to become root. The prompt is a word that nothing else prints; the shell says when it is reached, since
// sudo would read the program as a second password otherwise.
const sudoQuiet = "sudo -n /bin/sh"

func sudoAsking(mark string) string {
	return "sudo -k -S -p " + mark + "-password /bin/sh -c 'echo " + mark + "-ready >&2; exec /bin/sh'"
}

var errWrongPassword = errors.New("sudo did not accept the password")

// run performs a call. It returns when the program has ended, when its reader has enough, or when ctx ends.
func (l *link) run(ctx context.Context, c call) ending {
	s, release, err := l.session(ctx)
	if err != nil {
		return ending{err: err}
	}
	pre := newPreamble(c.mark, c.stderr)
	s.Stdout, s.Stderr = c.stdout, pre
	stdin, err := s.StdinPipe()
	if err == nil {
		err = s.Start(c.command)
	}
	if err != nil {
		_ = s.Close()
		release()
		return ending{err: fmt.Errorf("%w: starting a shell: %w", errLost, err)}
	}
	progress := &delivery{}
	ended := make(chan error, 1)
	go func() {
		defer release()
		exited := make(chan error, 1)
		go func() { exited <- s.Wait() }()
		ended <- progress.deliver(c, stdin, pre, exited)
		_ = s.Close()
	}()
	select {
	case err = <-ended:
		return pre.ending(progress.started(), err)
	case <-c.enough:
		_ = s.Close()
		return ending{sent: true, begun: true}
	case <-ctx.Done():
		_ = s.Signal(ssh.SIGTERM) // for what it is worth; a job does not hear it
		_ = s.Close()
		return ending{sent: progress.started(), begun: pre.hasBegun(), err: ctx.Err()}
	case <-l.gone:
		return ending{sent: progress.started(), begun: pre.hasBegun(), err: errLost}
	}
}

// A delivery remembers whether the last line of the program has been sent.
type delivery struct {
	mu   sync.Mutex
	sent bool
}

func (d *delivery) started() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sent
}

// deliver answers sudo, sends the program and waits for its end.
func (d *delivery) deliver(c call, stdin io.WriteCloser, pre *preamble, exited <-chan error) error {
	if c.password != nil {
		if err := answerSudo(c, stdin, pre, exited); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(stdin, c.program); err == nil {
		d.mu.Lock()
		d.sent = true // from here on it may run, whatever the next write says
		d.mu.Unlock()
		_, _ = io.WriteString(stdin, closing)
	}
	_ = stdin.Close()
	return <-exited
}

// answerSudo gives the password once, and never to anything but the prompt.
func answerSudo(c call, stdin io.Writer, pre *preamble, exited <-chan error) error {
	select {
	case <-pre.ready:
		return nil // it did not ask
	case err := <-exited:
		return exitedEarly(err)
	case <-pre.prompts:
	}
	line := append(bytes.Clone(c.password), '\n')
	_, err := stdin.Write(line)
	clear(line)
	if err != nil {
		return errLost
	}
	select {
	case <-pre.ready:
		return nil
	case <-pre.prompts:
		return errWrongPassword
	case err := <-exited:
		return exitedEarly(err)
	}
}

// exitedEarly makes sure that an end before the program is never taken for success.
func exitedEarly(err error) error {
	if err == nil {
		return errLost
	}
	return err
}

// A preamble stands before standard error until the program's text begins, and looks for the words of the agreement.
type preamble struct {
	mark    string
	to      io.Writer
	ready   chan struct{} // closed when sudo's shell is there
	prompts chan struct{} // one for each time sudo asks

	mu      sync.Mutex
	held    []byte
	begun   bool
	isReady bool
	asked   int
}

func newPreamble(mark string, to io.Writer) *preamble {
	return &preamble{mark: mark, to: to, ready: make(chan struct{}), prompts: make(chan struct{}, 4)}
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
	if !p.isReady && bytes.Contains(p.held, []byte(p.mark+"-ready\n")) {
		p.isReady = true
		close(p.ready)
	}
	for n := bytes.Count(p.held, []byte(p.mark+"-password")); p.asked < n && p.asked < cap(p.prompts); p.asked++ {
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
	e := ending{sent: sent, begun: p.begun, before: strings.ReplaceAll(string(p.held), p.mark+"-password", "")}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		e.code, e.signal = exit.ExitStatus(), exit.Signal()
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
