package machine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A lockTable holds the advisory locks of a machine: flock(2) by open file, and the record locks that dpkg and apt take
// by process.
type lockTable struct {
	mu    sync.Mutex
	held  map[uint64]*fileLock // by inode
	freed chan struct{}        // closed and replaced whenever a lock is freed
}

type fileLock struct {
	kind   string // FLOCK or POSIX, as /proc/locks shows it
	pid    int
	owners map[any]bool // openings or processes; more than one only when shared
	shared bool
}

func newLockTable() *lockTable {
	return &lockTable{held: map[uint64]*fileLock{}, freed: make(chan struct{})}
}

// try takes a lock if it is free, or held by the same owner already.
func (l *lockTable) try(ino uint64, owner any, kind string, pid int, shared bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[ino]
	switch {
	case h == nil:
		l.held[ino] = &fileLock{kind: kind, pid: pid, owners: map[any]bool{owner: true}, shared: shared}
		return true
	case h.owners[owner] && len(h.owners) == 1:
		h.shared = shared
		return true
	case shared && h.shared:
		h.owners[owner] = true
		return true
	}
	return false
}

// take waits for a lock until the time is over (limit < 0: for ever) or ctx is done.
func (l *lockTable) take(ctx context.Context, limit time.Duration, try func() bool) bool {
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	for {
		l.mu.Lock()
		freed := l.freed
		l.mu.Unlock()
		if try() {
			return true
		}
		if limit == 0 {
			return false
		}
		select {
		case <-freed:
		case <-over:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// release frees every lock of an owner.
func (l *lockTable) release(owner any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	freed := false
	for ino, h := range l.held {
		if !h.owners[owner] {
			continue
		}
		delete(h.owners, owner)
		freed = true
		if len(h.owners) == 0 {
			delete(l.held, ino)
		}
	}
	if freed {
		close(l.freed)
		l.freed = make(chan struct{})
	}
}

// holder is the process that holds a lock, 0 if nobody does.
func (l *lockTable) holder(ino uint64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.held[ino]; h != nil {
		return h.pid
	}
	return 0
}

// text is what /proc/locks shows.
func (l *lockTable) text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for i, ino := range slices.Sorted(maps.Keys(l.held)) {
		h, how := l.held[ino], "WRITE"
		if h.shared {
			how = "READ "
		}
		fmt.Fprintf(&b, "%d: %-6s ADVISORY  %s %d 08:01:%d 0 EOF\n", i+1, h.kind, how, h.pid, ino)
	}
	return []byte(b.String())
}

// A flockCall is a parsed flock command line.
type flockCall struct {
	shared, unlock, shell bool
	conflict              int // exit status when the lock is held
	wait                  time.Duration
	rest                  []string
}

func parseFlock(c *call) (flockCall, int) {
	f := flockCall{conflict: 1, wait: -1}
	flags, rest, ok := c.flags("xesunFo", "shared exclusive unlock nonblock nb close", "wEc", "wait timeout conflict-exit-code command", true)
	if !ok {
		return f, 64
	}
	for _, fl := range flags {
		switch fl.name {
		case "s", "shared":
			f.shared = true
		case "u", "unlock":
			f.unlock = true
		case "n", "nonblock", "nb":
			f.wait = 0
		case "w", "wait", "timeout":
			f.wait = c.m.scaled(seconds(fl.value))
		case "E", "conflict-exit-code":
			f.conflict = int(number(fl.value))
		case "c", "command":
			f.shell = true
			rest = append(rest, "/bin/sh", "-c", fl.value)
		}
	}
	f.rest = rest
	// flock FILE -c COMMAND: the flag comes after the file
	if len(rest) == 3 && (rest[1] == "-c" || rest[1] == "--command") {
		f.rest = []string{rest[0], "/bin/sh", "-c", rest[2]}
	}
	return f, 0
}

// flock is flock(1): by file and command, or by the number of an open file.
func flock(c *call) int {
	f, status := parseFlock(c)
	if status != 0 {
		return status
	}
	switch len(f.rest) {
	case 0:
		return c.fail(64, "not enough arguments")
	case 1:
		return f.byNumber(c)
	}
	h, err := c.m.openFile(c.p, c.path(f.rest[0]), true, false)
	if err != nil {
		return c.fail(66, "cannot open lock file %s: %s", f.rest[0], reason(err))
	}
	defer h.Close()
	if !f.acquire(c, h.opening) {
		return f.conflict
	}
	return c.run(f.rest[1:])
}

func (f flockCall) byNumber(c *call) int {
	fd := int(number(f.rest[0]))
	h := c.p.file(fd)
	if h == nil {
		return c.fail(65, "%s: Bad file descriptor", f.rest[0])
	}
	if f.unlock {
		c.m.locks.release(h.opening)
		return 0
	}
	if !f.acquire(c, h.opening) {
		return f.conflict
	}
	return 0
}

func (f flockCall) acquire(c *call, o *opening) bool {
	return c.m.locks.take(c.ctx, f.wait, func() bool {
		return c.m.locks.try(o.node.ino, o, "FLOCK", c.p.pid, f.shared)
	})
}
