package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"upgrader.dev/upgrader/engine"
)

const (
	// sessions is how many sessions one connection carries at a time; sshd's MaxSessions is 10.
	sessions = 8
	// missedKeepalives is how many unanswered keepalives end a connection.
	missedKeepalives = 3

	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
	// lastSessionWait bounds the waiting for the only session that a host allows.
	lastSessionWait = 5 * time.Second
)

// How a connection can fail an operation. Only after errUnsent is it certain that nothing happened.
var (
	errLost    = errors.New("the connection was lost while a command ran")
	errUnsent  = errors.New("the connection was lost before a command could be sent")
	errUnheard = errors.New("stopped waiting while a command ran")
)

// A link is one live connection.
type link struct {
	client *ssh.Client
	slots  chan struct{}
	gone   chan struct{} // closed when the connection has ended

	limits limits

	trusted atomic.Bool // the state directory was found to be root's alone
	worn    atomic.Bool // nobody new is to have it

	asking chan struct{} // a mutex that can be waited for with a context
	seen   *Identity     // what the machine said of itself; nil: nobody has asked
	mute   error         // or why it said nothing
	proved sync.Map      // names of the hosts that it was recognised as

	mu      sync.Mutex
	lost    int         // slots that the host turned out not to have
	through int         // connections to other hosts that go through this one
	idle    []*standing // shells that wait for the next program
}

// A trunk is the shared connection to one endpoint: made when needed, made again when lost, by one goroutine at a time.
type trunk struct {
	fleet *Fleet
	e     *endpoint
	via   *trunk // jump host; nil: straight

	turn     chan struct{} // a mutex that can be waited for with a context
	now      *link
	ever     bool // it has been connected before
	failures int
	retryAt  time.Time
}

func newTrunk(f *Fleet, e *endpoint, via *trunk) *trunk {
	return &trunk{fleet: f, e: e, via: via, turn: make(chan struct{}, 1)}
}

// get returns the live connection, after making it if there is none.
func (t *trunk) get(ctx context.Context) (*link, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: waiting for a connection: %w", t.e, ctx.Err())
	}
	defer func() { <-t.turn }()
	if t.now != nil && !closed(t.now.gone) && !t.now.worn.Load() {
		return t.now, nil
	}
	if err := pause(ctx, time.Until(t.retryAt)); err != nil {
		return nil, fmt.Errorf("%s: waiting to connect again: %w", t.e, err)
	}
	l, err := t.dial(ctx)
	if err != nil {
		t.retryAt = time.Now().Add(min(firstBackoff<<min(t.failures, 10), lastBackoff))
		t.failures++
		return nil, err
	}
	t.now, t.failures, t.retryAt, t.ever = l, 0, time.Time{}, true
	return l, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dial connects and logs in.
func (t *trunk) dial(ctx context.Context) (*link, error) {
	within, cancel := context.WithTimeoutCause(ctx, t.e.connectTimeout, fmt.Errorf("no answer within %s", t.e.connectTimeout))
	defer cancel()
	ring, err := loadKeyring(t.e, &t.fleet.known, t.fleet.warn)
	if err != nil {
		return nil, err
	}
	chain, err := loadKeychain(within, t.e, &t.fleet.keys)
	if err != nil {
		return nil, err
	}
	defer chain.close()
	conn, hangs, err := t.connect(within)
	if err != nil {
		return nil, t.explainDial(ctx, within, hangs, err)
	}
	l, err := t.login(within, yielding{conn}, ring, chain)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() == nil && within.Err() != nil {
			return nil, t.explainDial(ctx, within, "its port takes connections, but its sshd lets nobody in: it may wait for a disk, a name server or PAM", err)
		}
		return nil, err
	}
	return l, nil
}

// connect makes the connection that the login goes over. Where there is none in time, hangs says what to look at.
func (t *trunk) connect(ctx context.Context) (conn net.Conn, hangs string, err error) {
	if t.via == nil {
		conn, err = t.fleet.dial(ctx, "tcp", t.e.hostport())
		return conn, "is the host up and its port reachable?", err
	}
	jump, err := t.via.get(ctx)
	if err != nil {
		return nil, fmt.Sprintf("there is no connection to its jump host %s: is that up, and does it let you in?", t.via.e), fmt.Errorf("through %s: %w", t.via.e.alias, err)
	}
	if conn, err = jump.carry(ctx, t.e.hostport()); err != nil {
		err = fmt.Errorf("through %s: %w", t.via.e.alias, err)
	}
	return conn, fmt.Sprintf("is the host up and its port reachable from its jump host %s?", t.via.e), err
}

// carry connects to another host through this one, which is not closed before that connection is: a host that hangs may be
// the way to others that do not.
func (l *link) carry(ctx context.Context, address string) (net.Conn, error) {
	l.count(1)
	conn, err := l.client.DialContext(ctx, "tcp", address)
	if err != nil {
		l.count(-1)
		return nil, err
	}
	return &carried{Conn: conn, end: sync.OnceFunc(func() { l.count(-1) })}, nil
}

func (l *link) count(more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.through += more
	l.closeIfLeft()
}

// A carried connection goes through a jump host, which is told of its end.
type carried struct {
	net.Conn
	end func()
}

func (c *carried) Close() error {
	defer c.end()
	return c.Conn.Close()
}

func (t *trunk) explainDial(ctx, within context.Context, hangs string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: connecting: %w", t.e, ctx.Err())
	}
	if cause := context.Cause(within); cause != nil {
		return engine.Transient(fmt.Errorf("%s: connecting: %w; %s", t.e, cause, hangs))
	}
	if permanent(err) {
		return fmt.Errorf("%s: connecting: %w", t.e, err)
	}
	return engine.Transient(fmt.Errorf("%s: connecting: %w", t.e, err))
}

// permanent tells the failures of a jump host, or of a name, that another try will not cure.
func permanent(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsNotFound
	}
	for _, target := range []error{ErrAuth, ErrUnknownHostKey, ErrChangedHostKey, ErrRevokedHostKey} {
		if errors.Is(err, target) {
			_, transient := errors.AsType[*engine.TransientError](err)
			return !transient
		}
	}
	return false
}

func (t *trunk) login(ctx context.Context, conn net.Conn, ring *keyring, chain *keychain) (*link, error) {
	var distrust error // the callback's own error: the library would bury it
	config := &ssh.ClientConfig{
		User:              t.e.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(chain.signers...)},
		HostKeyAlgorithms: ring.algorithms(),
		HostKeyCallback: func(name string, addr net.Addr, key ssh.PublicKey) error {
			distrust = ring.check(name, addr, key)
			return distrust
		},
	}
	stop := context.AfterFunc(ctx, func() {
		_ = conn.Close()
		chain.close() // the agent may be waiting for a touch
	})
	c, channels, requests, err := ssh.NewClientConn(conn, t.e.keyName(), config)
	if !stop() && err == nil {
		_ = c.Close()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, t.explainLogin(err, distrust, ring, chain)
	}
	l := &link{
		client: ssh.NewClient(c, channels, requests), slots: make(chan struct{}, sessions), gone: make(chan struct{}),
		limits: t.fleet.limits, asking: make(chan struct{}, 1),
	}
	t.fleet.watch(l, t.e.keepalive)
	return l, nil
}

func (t *trunk) explainLogin(err, distrust error, ring *keyring, chain *keychain) error {
	if distrust != nil {
		return distrust
	}
	if n, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok {
		if strings.Contains(n.What, "host key") && len(ring.algorithms()) > 0 {
			return ring.noCommonKey(n.RequestedAlgorithms)
		}
		return fmt.Errorf("%s: %w; the host's OpenSSH is too old, or its sshd_config too narrow", t.e, err)
	}
	if strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), "Too many authentication failures") {
		if refused := chain.refused(t.e); !t.ever {
			return refused
		} else {
			return engine.Transient(refused) // it let us in before: a host that boots turns users away for a while
		}
	}
	return engine.Transient(fmt.Errorf("%s: logging in: %w", t.e, err))
}

// watch closes the link when keepalives go unanswered, and marks it gone when it has ended for any reason.
func (f *Fleet) watch(l *link, every time.Duration) {
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.links[l] = true
		f.tasks.Add(2)
	}
	f.mu.Unlock()
	if closed {
		_ = l.client.Close()
		close(l.gone)
		return
	}
	go func() {
		defer f.tasks.Done()
		_ = l.client.Wait() // whatever the reason
		close(l.gone)
		f.mu.Lock()
		delete(f.links, l)
		f.mu.Unlock()
	}()
	go func() {
		defer f.tasks.Done()
		l.keepAlive(every)
	}()
}

func (l *link) keepAlive(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-l.gone:
			return
		}
		timer := time.AfterFunc(missedKeepalives*every, func() { _ = l.client.Close() })
		_, _, err := l.client.SendRequest("keepalive@openssh.com", true, nil)
		timer.Stop()
		if err != nil {
			_ = l.client.Close()
			return
		}
	}
}

// session opens a session when there is room for one, unless by then it is not needed. The caller gives the room back with
// the function returned.
//
// A hardened host allows fewer sessions than we do. A refusal while others are open teaches that: its slot is not given
// back, so that the connection carries no more than the host takes.
func (l *link) session(ctx context.Context, needless func() bool) (*ssh.Session, func(), error) {
	for wait := firstBackoff; ; {
		select {
		case l.slots <- struct{}{}:
		case <-l.gone:
			return nil, nil, errLost
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		var once sync.Once
		release := func() { once.Do(l.leave) }
		if needless() {
			return nil, release, nil
		}
		s, err := l.open(ctx)
		if err == nil {
			return s, release, nil
		}
		_, refused := errors.AsType[*ssh.OpenChannelError](err)
		if refused && l.shrink() {
			continue
		}
		l.leave()
		if refused && wait > lastSessionWait {
			l.retire() // what takes all the sessions of a host is of this connection, and another one has its own
			return nil, nil, err
		}
		if !refused { // a silence has retired it; who only stops waiting says nothing of it
			return nil, nil, err
		}
		if err := pause(ctx, wait); err != nil { // an ended session may still count for a moment
			return nil, nil, err
		}
		wait *= 2
	}
}

// shrink gives up the caller's slot for good, unless it is the last one.
func (l *link) shrink() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == sessions-1 {
		return false
	}
	l.lost++
	return true
}

func (l *link) open(ctx context.Context) (*ssh.Session, error) {
	type opened struct {
		s   *ssh.Session
		err error
	}
	answer := make(chan opened, 1)
	go func() {
		s, err := l.client.NewSession()
		answer <- opened{s, err}
	}()
	select {
	case o := <-answer:
		if _, refused := errors.AsType[*ssh.OpenChannelError](o.err); o.err != nil && !refused {
			_ = l.client.Close()
			<-l.gone // so that the next try does not get this connection again
			return nil, errLost
		}
		return o.s, o.err
	case <-time.After(l.limits.session):
		l.retire()
		return nil, &silence{"sshd, asked for a session,", l.limits.session}
	case <-ctx.Done():
		go func() {
			if o := <-answer; o.s != nil {
				_ = o.s.Close()
			}
		}()
		return nil, ctx.Err()
	}
}
