package sandbox

import (
	"net"
	"slices"
	"sync"
)

// A door is the load balancer before the API servers: one address, and behind every connection one API server that
// was ready when it was made. When an API server goes away its connections are reset, as a restart does; while none
// is ready a new connection is reset at once.
type door struct {
	net.Listener

	mu    sync.Mutex
	ready []string // names of the API servers that take connections
	turn  int
	conns map[*doorConn]struct{}
}

// A doorConn is a connection to one API server.
type doorConn struct {
	*net.TCPConn
	server string
	door   *door
}

func openDoor() (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &door{Listener: l, conns: map[*doorConn]struct{}{}}, nil
}

// Accept waits for a connection that an API server takes.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		if conn := d.admit(tcp); conn != nil {
			return conn, nil
		}
		reset(tcp)
	}
}

func (d *door) admit(c *net.TCPConn) *doorConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ready) == 0 {
		return nil
	}
	d.turn++
	conn := &doorConn{c, d.ready[d.turn%len(d.ready)], d}
	d.conns[conn] = struct{}{}
	return conn
}

// serve tells the door which API servers are ready now. Connections to others are reset.
func (d *door) serve(ready []string) {
	d.mu.Lock()
	d.ready = ready
	var cut []*doorConn
	for c := range d.conns {
		if !slices.Contains(ready, c.server) {
			cut = append(cut, c)
		}
	}
	d.mu.Unlock()
	for _, c := range cut {
		c.reset()
	}
}

// Close ends the connection and forgets it.
func (c *doorConn) Close() error {
	c.door.mu.Lock()
	delete(c.door.conns, c)
	c.door.mu.Unlock()
	return c.TCPConn.Close()
}

// reset ends the connection without a farewell: the client sees "connection reset by peer".
func (c *doorConn) reset() {
	_ = c.SetLinger(0) // the connection may be gone already: that is what is wanted
	_ = c.Close()
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // as above
	_ = c.Close()
}
