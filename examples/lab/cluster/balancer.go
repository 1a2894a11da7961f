//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync/atomic"
	"time"
)

const (
	// connectWithin is how long a backend may take to accept a connection before the next one is asked.
	connectWithin = time.Second
	// askAgain is how often a backend that is down is asked whether it is back. Half a second, so that the balancer adds
	// little to an outage that is measured through it.
	askAgain = 500 * time.Millisecond
)

// A balancer passes TCP connections on to backends in turn. A backend that does not accept one is left out until a check
// in the background finds it accepting again, so that hosts that do not exist cost nobody any time.
type balancer struct {
	backends []*backend
	turn     atomic.Uint32
}

// A backend is one server behind a balancer.
type backend struct {
	address string
	down    atomic.Bool
}

// newBalancer takes every backend to be down until its first check.
func newBalancer(addresses []string) *balancer {
	b := &balancer{}
	for _, a := range addresses {
		s := &backend{address: a}
		s.down.Store(true)
		b.backends = append(b.backends, s)
	}
	return b
}

// serve passes on what l accepts until the context ends.
func (b *balancer) serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for _, s := range b.backends {
		go s.watch(ctx)
	}
	for {
		c, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil //nolint:nilerr // that is how it ends
		}
		if err != nil { // no more file descriptors, for one: that passes
			log.Printf("%s: accepting: %v", l.Addr(), err)
			if pause(ctx, 100*time.Millisecond) != nil {
				return nil
			}
			continue
		}
		go b.pass(ctx, c)
	}
}

// pass connects one client with the first backend that accepts.
func (b *balancer) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	first := int(b.turn.Add(1) % uint32(len(b.backends))) //nolint:gosec // a handful
	for i := range b.backends {
		s := b.backends[(first+i)%len(b.backends)]
		if s.down.Load() {
			continue
		}
		server, err := s.connect(ctx)
		if err != nil {
			continue
		}
		splice(client, server)
		return
	}
	log.Printf("%s: nobody accepts a connection for %s", client.LocalAddr(), client.RemoteAddr())
}

func (s *backend) connect(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectWithin}).DialContext(ctx, "tcp", s.address)
	if was := s.down.Swap(err != nil); was != (err != nil) && ctx.Err() == nil {
		log.Printf("backend %s: %s", s.address, state(err))
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.address, err)
	}
	return conn, nil
}

func state(err error) string {
	if err != nil {
		return "down: " + err.Error()
	}
	return "up"
}

// watch asks a backend that is down until it is back.
func (s *backend) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if s.down.Load() {
			if conn, err := s.connect(ctx); err == nil {
				_ = conn.Close() // nothing was written
			}
		}
		if pause(ctx, askAgain) != nil {
			return
		}
	}
}

// splice copies both ways until both ends have said all, or one of them is gone.
func splice(client, server net.Conn) {
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pump(server, client)
	}()
	pump(client, server)
	<-done
}

// pump copies from one end to the other and passes the end of the stream on. If that fails the other direction is of no
// use any more either.
func pump(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil && half.CloseWrite() == nil {
		return
	}
	_ = to.Close()
	_ = from.Close()
}
