package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// An outlet hands text to a reader. At first a Write waits until it is taken, as commands want it that show what they
// found. After QueueUp nobody waits for the reader any more, who may read slowly or not at all: a paused pipe, a
// terminal after Ctrl-S, a slow ssh. A goroutine writes then, and what is not taken is kept up to a bound, the newest of
// it; what was left out is told, in its place, once the reader goes on. It is the only way out of the
// program, and lets nothing through that a terminal obeys but the colours of the program's own style. It is safe for
// concurrent use.
type outlet struct {
	to    io.Writer
	moved chan struct{} // the reader has taken something since the last look

	mu      sync.Mutex
	belt    printable.Belt
	left    func(texts int) string // what is said of texts that were left out; nil: nothing is queued
	waiting [][]byte               // one text per Write
	size    int                    // of those, in bytes
	lost    int                    // texts left out and not told of
	writing bool                   // the goroutine is at work
	stuck   bool                   // a Flush gave up, and nothing was taken since
}

// mostWaiting is how many bytes wait for a reader: all that the largest run tells of in a day, and no burden for a machine.
const mostWaiting = 64 << 20

// piece is written at once: as much as a pipe takes when its reader has taken a page.
const piece = 4 << 10

func newOutlet(to io.Writer) *outlet {
	return &outlet{to: to, belt: printable.Belt{Colours: isTerminal(to)}, moved: make(chan struct{}, 1)}
}

// QueueUp makes writers independent of the reader. left words what was left out.
func (o *outlet) QueueUp(left func(texts int) string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left == nil {
		o.left = left
	}
}

// Write takes a text: a line, a record, a drawing. Texts are left out as a whole. A reader that has gone away is only
// told of where writers wait.
//
// This is the way out of the program: whatever looks like a secret stays here, although no plan names it as one.
func (o *outlet) Write(p []byte) (int, error) {
	if err := o.send("", p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Over writes a text in the place of the last lines that are on the screen, in one piece, so that no half of it shows.
func (o *outlet) Over(lines int, text string) {
	move := "\r\x1b[J"
	if lines > 0 {
		move = fmt.Sprintf("\x1b[%dA", lines) + move
	}
	_ = o.send(move, []byte(text)) // a terminal that has gone away must not stop an upgrade
}

// send hands on a text behind a move of the cursor that is the program's own.
func (o *outlet) send(move string, p []byte) error {
	o.mu.Lock()
	text := o.belt.Pass([]byte(redact.Likely(string(p))))
	if move != "" {
		text = append([]byte(move), text...)
	}
	kept := o.keep(text)
	o.mu.Unlock()
	if kept {
		return nil
	}
	_, err := o.to.Write(text)
	return err
}

// keep queues a text, unless writers wait for the reader. The lock is held.
func (o *outlet) keep(p []byte) bool {
	if o.left == nil {
		return false
	}
	o.waiting = append(o.waiting, append([]byte(nil), p...))
	for o.size += len(p); o.size > mostWaiting && len(o.waiting) > 1; o.lost++ {
		o.size -= len(o.waiting[0])
		o.waiting = o.waiting[1:]
	}
	if !o.writing {
		o.writing = true
		go o.drain()
	}
	return true
}

// drain writes until nothing waits. What the reader's end answers does not matter: it must not stop an upgrade.
func (o *outlet) drain() {
	for text := o.next(); text != nil; text = o.next() {
		for len(text) > 0 {
			n := min(len(text), piece)
			_, _ = o.to.Write(text[:n])
			text = text[n:]
			o.note()
		}
	}
	o.note()
}

// next is the text to be written now; nil when nothing waits.
func (o *outlet) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		text := o.left(o.lost)
		o.lost = 0
		return []byte(printable.Text(text) + "\n")
	}
	if len(o.waiting) == 0 {
		o.waiting, o.writing = nil, false
		return nil
	}
	text := o.waiting[0]
	o.waiting[0], o.waiting = nil, o.waiting[1:]
	o.size -= len(text)
	return text
}

// note lets a Flush know that the reader reads.
func (o *outlet) note() {
	o.mu.Lock()
	o.stuck = false
	o.mu.Unlock()
	select {
	case o.moved <- struct{}{}:
	default:
	}
}

// Idle says whether the reader has taken everything.
func (o *outlet) Idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.writing
}

// Flush waits until the reader has taken everything, however slowly it reads. It gives up on one that takes nothing for
// so long, and does not wait again until it takes something.
func (o *outlet) Flush(stuck time.Duration) {
	still := time.NewTimer(stuck)
	defer still.Stop()
	for !o.Idle() && !o.isStuck() {
		select {
		case <-o.moved:
			still.Reset(stuck)
		case <-still.C:
			o.mu.Lock()
			o.stuck = true
			o.mu.Unlock()
		}
	}
}

func (o *outlet) isStuck() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stuck
}
