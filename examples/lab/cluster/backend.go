//go:build linux

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"upgrader.dev/upgrader/examples/lab/host"
)

const (
	// connectWithin is how long a backend may take to accept a connection before the next one is asked.
	connectWithin = time.Second
	// askAgain is how often a backend is checked, and one that is down is asked whether it is back. Half a second, so that
	// the balancer adds little to an outage that is measured through it.
	askAgain = 500 * time.Millisecond
	// checkWithin is how long a check may take, and fall how many in a row have to fail: a busy machine is no outage.
	checkWithin = 2 * time.Second
	fall        = 2
)

// A check asks a backend that accepts connections whether it is in order.
type check func(ctx context.Context, address string) error

// A backend is one server behind a balancer.
type backend struct {
	address string
	check   check       // nil: to accept a connection is enough
	down    atomic.Bool // it does not accept connections
	unfit   atomic.Bool // it does, but its check fails

	mu   sync.Mutex
	open map[net.Conn]bool
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

// watch asks a backend that is down until it is back, and checks one that is up.
func (s *backend) watch(ctx context.Context, othersFit func(*backend) bool) {
	failed := 0
	for ctx.Err() == nil {
		if s.down.Load() {
			if conn, err := s.connect(ctx); err == nil {
				_ = conn.Close() // nothing was written
			}
		}
		if s.check != nil && !s.down.Load() {
			failed = s.judge(s.check(ctx, s.address), failed)
			if s.unfit.Load() && othersFit(s) {
				s.hangUp()
			}
		}
		if host.Pause(ctx, askAgain) != nil {
			return
		}
	}
}

// judge takes in the outcome of a check, after so many that failed in a row, and returns how many it is now.
func (s *backend) judge(err error, failed int) int {
	if err == nil {
		if s.unfit.Swap(false) {
			log.Printf("backend %s: in order again", s.address)
		}
		return 0
	}
	if failed+1 >= fall && !s.unfit.Swap(true) {
		log.Printf("backend %s: not in order: %v", s.address, err)
	}
	return failed + 1
}

func (s *backend) keep(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = true
}

func (s *backend) drop(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// hangUp ends the connections to a backend that is not in order, so that clients that keep theirs, as kubelets do, come
// back and get another one. HAProxy calls this on-marked-down shutdown-sessions.
func (s *backend) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close() // whoever copies from it ends
	}
}

// readyz is the check of an API server, which accepts connections while its etcd is away. It is asked without a
// certificate, as balancers do, and its own is not verified: nothing is told to it and nothing believed but a yes.
func readyz() check {
	client := &http.Client{Timeout: checkWithin, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	return func(ctx context.Context, address string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	}
}
