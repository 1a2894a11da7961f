package remote

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"upgrader.dev/upgrader/steps/redact"
)

// streamCap is how much of one output stream is kept in memory. Half of it is the head, half the tail. Many hosts answer
// at a time, and no look needs as much.
const streamCap = 256 << 10

// lineCap is how long a line of the agreement with a host may be. What is longer is none.
const lineCap = 64 << 10

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
	p = c.fill(&c.head, p)
	if len(p) > c.size {
		p = p[len(p)-c.size:]
	}
	for p = c.fill(&c.tail, p); len(p) > 0; {
		k := copy(c.tail[c.next:], p)
		c.next, p = (c.next+k)%c.size, p[k:]
	}
	return n, nil
}

// fill adds to a buffer what it has room for and returns the rest. The buffer grows by doubling, and never beyond its size.
func (c *capture) fill(buffer *[]byte, p []byte) (rest []byte) {
	b := *buffer
	room := min(c.size-len(b), len(p))
	if need := len(b) + room; need > cap(b) {
		b = append(make([]byte, 0, min(c.size, max(need, 2*cap(b)))), b...)
	}
	*buffer = append(b, p[:room]...)
	return p[room:]
}

// String returns what was kept; the gap says how much is missing.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	gap := ""
	if missing := c.total - int64(len(c.head)+len(c.tail)); missing > 0 {
		gap = fmt.Sprintf("\n[... %d bytes left out ...]\n", missing)
	}
	b.Grow(len(c.head) + len(gap) + len(c.tail))
	b.Write(c.head)
	b.WriteString(gap)
	b.Write(c.tail[c.next:])
	b.Write(c.tail[:c.next])
	return b.String()
}

// An answer keeps a stream as a capture does, without the secrets: they are taken out first, so that none is kept in part
// where the head ends or the tail begins.
type answer struct {
	redact.Writer
	kept *capture
}

func newAnswer(known redact.Known) *answer {
	kept := newCapture(streamCap)
	return &answer{Writer: known.Writer(kept), kept: kept}
}

// String ends the stream and returns what was kept.
func (a *answer) String() string {
	_ = a.Flush() // to memory
	return a.kept.String()
}

// SoFar is what was kept of a stream that may go on.
func (a *answer) SoFar() string { return a.kept.String() }

// An opening drops a stream until a word has passed, and then passes it on.
type opening struct {
	word []byte
	to   io.Writer
	held []byte
	open bool
}

func (o *opening) Write(p []byte) (int, error) {
	if o.open {
		return o.to.Write(p)
	}
	o.held = append(o.held, p...)
	i := bytes.Index(o.held, o.word)
	if i < 0 {
		o.held = append(o.held[:0], o.held[len(o.held)-overlap(o.held, o.word):]...)
		return len(p), nil
	}
	rest := o.held[i+len(o.word):]
	o.open, o.held = true, nil
	if len(rest) > 0 {
		_, _ = o.to.Write(rest) // to memory
	}
	return len(p), nil
}
