package remote

import (
	"net"
	"runtime"
)

// A yielding connection lets those go first that wait for what has come, before it reads more. The ssh library keeps up to
// 2 MiB for each session until they have come to take it: with many hosts that print without end that would be most of the
// memory in use, only because the one goroutine had not let the other run.
type yielding struct{ net.Conn }

func (y yielding) Read(p []byte) (int, error) {
	n, err := y.Conn.Read(p)
	runtime.Gosched()
	return n, err
}
