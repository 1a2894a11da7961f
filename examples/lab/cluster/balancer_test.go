//go:build linux

package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// listen serves a name to everybody who connects, and returns the address and how to stop.
func listen(t *testing.T, name, address string) (string, func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(io.Discard, c) // until the client has said all
				_, _ = io.WriteString(c, name)
			}()
		}
	}()
	stop := func() { _ = l.Close() }
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// ask connects, says all it has to say, and returns the answer.
func ask(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_ = c.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func balance(t *testing.T, addresses ...string) (*balancer, string) {
	t.Helper()
	return balanceChecked(t, nil, addresses...)
}

func balanceChecked(t *testing.T, check check, addresses ...string) (*balancer, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	b, ended := newBalancer(addresses, check), make(chan error)
	go func() { ended <- b.serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b, l.Addr().String()
}

// TestBalancer proves that connections go to all backends in turn, with the end of what the client says passed on; that
// nobody notices one that dies; that it is found again when it is back; and that none at all is a closed connection.
func TestBalancer(t *testing.T) {
	one, stopOne := listen(t, "one", "127.0.0.1:0")
	two, stopTwo := listen(t, "two", "127.0.0.1:0")
	b, address := balance(t, one, two)
	settle := func(down ...bool) {
		t.Helper()
		err := until(t.Context(), 10*time.Second, time.Millisecond, func(context.Context) error {
			for i, s := range b.backends {
				if s.down.Load() != down[i] {
					return io.ErrNoProgress
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	settle(false, false)
	count := func(n int) map[string]int {
		got := map[string]int{}
		for range n {
			got[ask(t, address)]++
		}
		return got
	}
	if got := count(10); got["one"] != 5 || got["two"] != 5 {
		t.Errorf("not in turn: %v", got)
	}
	stopOne()
	if got := count(10); got["two"] != 10 {
		t.Errorf("one is dead, and clients notice: %v", got)
	}
	settle(true, false)
	stopTwo()
	if got := count(2); got[""] != 2 {
		t.Errorf("both are dead: %v", got)
	}
	listen(t, "one again", one)
	settle(false, true)
	if got := count(2); got["one again"] != 2 {
		t.Errorf("one is back: %v", got)
	}
}

// TestBalancerAbsent proves that hosts which do not exist cost clients no time: nothing answers from a network that is
// for documentation.
func TestBalancerAbsent(t *testing.T) {
	there, _ := listen(t, "there", "127.0.0.1:0")
	b, address := balance(t, "192.0.2.1:9", there, "192.0.2.2:9")
	err := until(t.Context(), 10*time.Second, time.Millisecond, func(context.Context) error {
		if b.backends[1].down.Load() {
			return io.ErrNoProgress
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 10 {
		if got := ask(t, address); got != "there" {
			t.Errorf("got %q", got)
		}
	}
	if took := time.Since(start); took > connectWithin {
		t.Errorf("ten requests took %s", took)
	}
}

// TestBalancerChecks proves that a backend whose check fails gets no new connection and loses those that it has, and that
// it serves all the same when there is no other.
func TestBalancerChecks(t *testing.T) {
	one, _ := listen(t, "one", "127.0.0.1:0")
	two, stopTwo := listen(t, "two", "127.0.0.1:0")
	var sick atomic.Bool
	b, address := balanceChecked(t, func(_ context.Context, address string) error {
		if sick.Load() && address == one {
			return errors.New("503")
		}
		return nil
	}, one, two)
	await := func(what string, so func() bool) {
		t.Helper()
		err := until(t.Context(), 10*time.Second, time.Millisecond, func(context.Context) error {
			if so() {
				return nil
			}
			return io.ErrNoProgress
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	await("both up", func() bool { return !b.backends[0].down.Load() && !b.backends[1].down.Load() })
	held := map[*backend]net.Conn{}
	for i := range 2 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		await("kept", func() bool { return keeps(b.backends[0])+keeps(b.backends[1]) == i+1 })
		for _, s := range b.backends {
			if held[s] == nil && keeps(s) == 1 {
				held[s] = c
			}
		}
	}
	sick.Store(true)
	if _, err := io.ReadAll(held[b.backends[0]]); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection to the one that is not in order: %v", err)
	}
	for range 4 {
		if got := ask(t, address); got != "two" {
			t.Errorf("one is not in order, and yet: %q", got)
		}
	}
	stopTwo()
	await("two down", func() bool { return ask(t, address) == "one" })
}

func keeps(s *backend) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
