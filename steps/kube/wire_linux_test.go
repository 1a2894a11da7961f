package kube

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/engine"
)

// A connection for writes sends nothing without a lock, and what it has sent the kernel does not go on sending for long.
func TestTheWireIsCutWithTheLock(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := New("http://"+server.Addr().String(), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		known state
		want  error
	}{
		"held":        {state{renewed: time.Now()}, nil},
		"never":       {state{}, errUnsure},
		"nearly over": {state{renewed: time.Now().Add(-11 * time.Second)}, errUnsure},
		"over":        {state{renewed: time.Now().Add(-time.Hour)}, errUnsure},
		"lost":        {state{renewed: time.Now(), fenced: engine.ErrFenced}, engine.ErrFenced},
	} {
		lock := NewLock(client, Identity{Run: "r1"})
		lock.state = tt.known
		conn, err := lock.dial(t.Context(), "tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if ms := userTimeout(t, conn); ms != 5000 {
			t.Errorf("%s: the kernel gives up after %d ms", name, ms)
		}
		if _, err := conn.Write([]byte("PATCH")); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		_ = conn.Close()
		if got, err := io.ReadAll(far); err != nil || (len(got) == 0) == (tt.want == nil) {
			t.Errorf("%s: the server got %q, %v", name, got, err)
		}
		_ = far.Close()
	}
}

func userTimeout(t *testing.T, conn net.Conn) (ms int) {
	t.Helper()
	raw, err := conn.(*fused).Conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			ms, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return ms
}
