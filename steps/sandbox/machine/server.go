package machine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxSessions is how many sessions one connection may have open, as OpenSSH's default (MaxSessions in sshd_config(5)).
const maxSessions = 10

// A server is the machine's sshd.
type server struct {
	m        *Machine
	key      ssh.Signer
	config   *ssh.ServerConfig
	listener net.Listener
	done     chan struct{} // closed by close

	mu        sync.Mutex
	conns     map[*line]bool
	refusing  time.Time // until when new connections are refused
	stalledTo time.Time // until when the connections are silent
}

func newServer(m *Machine, address string) (*server, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	s := &server{m: m, key: key, conns: map[*line]bool{}, done: make(chan struct{})}
	s.config = &ssh.ServerConfig{ServerVersion: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", PublicKeyCallback: s.mayLogIn}
	s.config.AddHostKey(key)
	s.listener, err = net.Listen("tcp", address)
	return s, err
}

func (s *server) mayLogIn(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	known := s.m.cfg.AuthorizedKey
	if known == nil || meta.User() != s.m.cfg.Login || !bytes.Equal(known.Marshal(), key.Marshal()) {
		return nil, fmt.Errorf("%s may not log in with this key", meta.User())
	}
	return &ssh.Permissions{}, nil
}

// accept serves connections until close.
func (s *server) accept() {
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !s.wait(10 * time.Millisecond) { // out of file descriptors, perhaps
				return
			}
			continue
		}
		if !s.takes() {
			reset(c)
			continue
		}
		l := &line{Conn: c, server: s, closed: make(chan struct{})}
		s.mu.Lock()
		s.conns[l] = true
		s.mu.Unlock()
		s.m.all.Go(func() { s.serve(l) })
	}
}

// takes says whether new connections are taken now.
func (s *server) takes() bool {
	if _, on := s.m.up(); !on {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().After(s.refusing)
}

func (s *server) serve(l *line) {
	defer func() {
		_ = l.Close()
		s.mu.Lock()
		delete(s.conns, l)
		s.mu.Unlock()
	}()
	conn, channels, requests, err := ssh.NewServerConn(l, s.config)
	if err != nil {
		return
	}
	defer conn.Close()
	var all sync.WaitGroup
	all.Go(func() {
		for r := range requests { // keepalive@openssh.com among them: OpenSSH answers "failure" too, which is an answer
			if r.WantReply {
				_ = r.Reply(false, nil)
			}
		}
	})
	room := make(chan struct{}, maxSessions)
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "unsupported channel type")
			continue
		}
		if !enter(room) {
			_ = ch.Reject(ssh.ConnectionFailed, "open failed")
			continue
		}
		all.Go(func() {
			defer func() { <-room }()
			s.session(conn, ch)
		})
	}
	all.Wait()
}

// enter takes one of the places of a connection. A session whose end the client has already answered may still be on
// its way out, which in sshd's single thread never shows: it gets a moment.
func enter(room chan<- struct{}) bool {
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case room <- struct{}{}:
		return true
	case <-t.C:
		return false
	}
}

// drop cuts every connection.
func (s *server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.conns {
		reset(l.Conn)
		_ = l.Close()
	}
}

// refuse turns new connections away for a time.
func (s *server) refuse(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = time.Now().Add(d)
}

func (s *server) stall(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalledTo = time.Now().Add(d)
}

func (s *server) silence() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.stalledTo)
}

// wait sleeps; false means that the server was closed meanwhile.
func (s *server) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}

func (s *server) close() error {
	close(s.done)
	err := s.listener.Close()
	s.drop()
	return err
}

// reset closes a connection without ceremony.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// A line is a connection that can fall silent.
type line struct {
	net.Conn
	server *server
	once   sync.Once
	closed chan struct{}
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.hold()
	return n, err
}

func (l *line) Write(b []byte) (int, error) {
	l.hold()
	return l.Conn.Write(b)
}

// hold waits until the line may speak again, or is closed.
func (l *line) hold() {
	for d := l.server.silence(); d > 0; d = l.server.silence() {
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-l.closed:
			t.Stop()
			return
		}
	}
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}
