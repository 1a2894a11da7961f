package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// A proc is a pretend process: a shell, a running command, or the main process of a unit. It ends when its function
// returns or its context is done; what it started ends with it.
type proc struct {
	pid, ppid int
	name      string // what /proc/PID/comm shows
	line      string // what /proc/PID/cmdline shows
	user      string
	unit      string // the unit that it belongs to, "" for a login session
	exe       string // what /proc/PID/exe points to, "" for the command in /usr/bin
	replaced  bool   // the file of exe has been replaced since the process began; guarded by Machine.mu
	cancel    context.CancelCauseFunc

	mu    sync.Mutex
	umask fs.FileMode
	files map[int]*handle // open files beyond the first three
}

// A killed is the cause of a context that was ended by a signal.
type killed struct{ signal string }

func (k killed) Error() string { return "killed by SIG" + k.signal }

// signals are those that a pretend process can be sent.
var signals = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "PIPE": 13, "TERM": 15}

// killedBy is the signal that ended a context, "" if none did.
func killedBy(ctx context.Context) string {
	var k killed
	if errors.As(context.Cause(ctx), &k) {
		return k.signal
	}
	return ""
}

type procKey struct{}

// procOf is the process that runs in a context.
func procOf(ctx context.Context) *proc {
	p, _ := ctx.Value(procKey{}).(*proc)
	return p
}

// spawn makes a process as the child of the one in ctx, or of init if there is none. end must be called when it ends.
func (m *Machine) spawn(ctx context.Context, name, line string, change func(*proc)) (context.Context, *proc) {
	p := &proc{name: name, line: line, ppid: 1, user: "root", umask: 0o022}
	if parent := procOf(ctx); parent != nil {
		parent.mu.Lock()
		p.ppid, p.user, p.unit, p.umask = parent.pid, parent.user, parent.unit, parent.umask
		for fd, h := range parent.files {
			if p.files == nil {
				p.files = map[int]*handle{}
			}
			p.files[fd] = h.share()
		}
		parent.mu.Unlock()
	}
	if change != nil {
		change(p)
	}
	ctx, p.cancel = context.WithCancelCause(ctx)
	m.mu.Lock()
	m.lastPID++
	p.pid = m.lastPID
	m.procs[p.pid] = p
	m.mu.Unlock()
	return context.WithValue(ctx, procKey{}, p), p
}

// end takes a process away and closes what it had open.
func (m *Machine) end(p *proc) {
	p.mu.Lock()
	files := p.files
	p.files = nil
	p.mu.Unlock()
	for _, h := range files {
		h.Close()
	}
	p.cancel(nil)
	m.mu.Lock()
	delete(m.procs, p.pid)
	m.mu.Unlock()
}

// process finds a process by its ID.
func (m *Machine) process(pid int) *proc {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.procs[pid]
}

func (p *proc) mask() fs.FileMode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.umask
}

func (p *proc) file(fd int) *handle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.files[fd]
}

// keep puts an open file under a number, closing what was there; a nil handle only closes.
func (p *proc) keep(fd int, h *handle) {
	p.mu.Lock()
	old := p.files[fd]
	if p.files == nil {
		p.files = map[int]*handle{}
	}
	if h == nil {
		delete(p.files, fd)
	} else {
		p.files[fd] = h
	}
	p.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// ticket is the upgrader job that the process belongs to, "" if none.
func (p *proc) ticket() string {
	if p == nil {
		return ""
	}
	return ticketOf(p.unit)
}

// An opening is an open file description: several handles may share it, and flock(2) locks belong to it.
type opening struct {
	m    *Machine
	path string
	node *node
	proc *proc // who opened it, for the record of what changed
	out  io.Writer

	mu      sync.Mutex
	handles int
	before  string // content when it was opened for writing
	writes  bool
	over    bool // it is written over from its beginning, and not at its end
	written int
	made    changed
}

// A handle is one reference to an opening.
type handle struct {
	*opening
	once sync.Once
}

func (o *opening) handle() *handle {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handles++
	return &handle{opening: o}
}

func (h *handle) share() *handle { return h.handle() }

func (h *handle) Read([]byte) (int, error) { return 0, io.EOF }

func (h *handle) Write(b []byte) (int, error) {
	if h.out != nil {
		return h.out.Write(b)
	}
	if h.over {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.m.tree.overwrite(h.node, b, h.written)
		h.written += len(b)
		return len(b), nil
	}
	h.m.tree.extend(h.node, b)
	return len(b), nil
}

// Close gives the reference up. The last one frees the locks and records the change made through the opening.
func (h *handle) Close() error {
	h.once.Do(func() {
		h.mu.Lock()
		h.handles--
		last := h.handles == 0
		h.mu.Unlock()
		if !last || h.node == nil {
			return
		}
		h.m.locks.release(h.opening)
		if !h.writes {
			return
		}
		h.m.tree.mu.RLock()
		differs := h.made || changed(string(h.node.content()) != h.before)
		h.m.tree.mu.RUnlock()
		if differs {
			h.m.changedFile(h.proc, "wrote", h.path)
		}
	})
	return nil
}

// cmdline is what /proc/PID/cmdline holds for a command line of words.
func cmdline(args []string) string {
	s := ""
	for _, a := range args {
		s += a + "\x00"
	}
	return s
}

func (p *proc) String() string { return fmt.Sprintf("process %d (%s)", p.pid, p.name) }
