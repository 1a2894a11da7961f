package remote

import (
	"fmt"
	"sync"
)

// streamCap is how much of one output stream is kept in memory. Half of it is the head, half the tail.
const streamCap = 8 << 20

// A capture keeps the head and the tail of a stream and counts what it drops between them, so that a host that prints
// without end costs memory for no more than its size.
type capture struct {
	mu         sync.Mutex
	head, tail []byte
	next       int   // where the ring buffer tail is written next
	total      int64 // bytes that came in
	size       int   // of head and of tail
}

func newCapture(size int) *capture { return &capture{size: size / 2} }

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	c.total += int64(n)
	room := min(c.size-len(c.head), n)
	c.head = append(c.head, p[:room]...)
	p = p[room:]
	if len(p) > c.size {
		p = p[len(p)-c.size:]
	}
	room = min(c.size-len(c.tail), len(p))
	c.tail = append(c.tail, p[:room]...)
	for p = p[room:]; len(p) > 0; {
		k := copy(c.tail[c.next:], p)
		c.next, p = (c.next+k)%c.size, p[k:]
	}
	return n, nil
}

// String returns what was kept; the gap says how much is missing.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	tail := string(c.tail[c.next:]) + string(c.tail[:c.next])
	if gap := c.total - int64(len(c.head)+len(c.tail)); gap > 0 {
		return fmt.Sprintf("%s\n[... %d bytes left out ...]\n%s", c.head, gap, tail)
	}
	return string(c.head) + tail
}
