//go:build linux

package cluster

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"upgrader.dev/upgrader/examples/lab/host"
)

// A balancer passes TCP connections on to backends in turn. A backend that does not accept one, or whose check fails, is
// left out until it is found in order again, so that hosts that do not exist cost nobody any time.
type balancer struct {
	backends []*backend
	turn     atomic.Uint32
}

// newBalancer takes every backend to be down until its first check. Without a check, to accept a connection is enough.
func newBalancer(addresses []string, check check) *balancer {
	b := &balancer{}
	for _, a := range addresses {
		s := &backend{address: a, check: check, open: map[net.Conn]bool{}}
		s.down.Store(true)
		b.backends = append(b.backends, s)
	}
	return b
}

// serve passes on what l accepts until the context ends.
func (b *balancer) serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for _, s := range b.backends {
		go s.watch(ctx, b.othersFit)
	}
	for {
		c, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil // that is how it ends
		}
		if err != nil { // no more file descriptors, for one: that passes
			log.Printf("%s: accepting: %v", l.Addr(), err)
			if host.Pause(ctx, 100*time.Millisecond) != nil {
				return nil
			}
			continue
		}
		go b.pass(ctx, c)
	}
}

// pass connects one client with the first backend that accepts, of those in order; if there are none, of any.
func (b *balancer) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	first := int(b.turn.Add(1) % uint32(len(b.backends))) //nolint:gosec // a handful
	for _, unfit := range []bool{false, true} {
		for i := range b.backends {
			s := b.backends[(first+i)%len(b.backends)]
			if s.down.Load() || s.unfit.Load() != unfit {
				continue
			}
			if server, err := s.connect(ctx); err == nil {
				s.keep(server)
				splice(client, server)
				s.drop(server)
				return
			}
		}
	}
	log.Printf("%s: nobody accepts a connection for %s", client.LocalAddr(), client.RemoteAddr())
}

// othersFit says whether clients of this backend would find another one that is in order.
func (b *balancer) othersFit(than *backend) bool {
	return slices.ContainsFunc(b.backends, func(s *backend) bool { return s != than && !s.down.Load() && !s.unfit.Load() })
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
