//go:build linux

package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// moment is how often a process that is to stop is looked at. It does nothing meanwhile, so that nothing is missed.
const moment = time.Millisecond

// A Work is what a process is stopped in.
type Work struct {
	Program string         // the name of the file that is run
	Args    *regexp.Regexp // what its command line has to match, the words of it separated by spaces
	After   time.Duration  // how long it works before it is stopped; 0: it has not begun
}

// Freeze stops the next process of the host that does this work, however quick it is, and returns the number that it has
// outside: SIGCONT lets it go on. The kernel holds each program that the host begins until this process has looked at its
// name; when Freeze returns, or this process ends, that is over. Until then this process must not begin one there itself.
func (h *Host) Freeze(ctx context.Context, w Work) (pid int, err error) {
	init, err := h.pid()
	if err != nil {
		return 0, err
	}
	gate, err := openGate(fmt.Sprintf("/proc/%d/root", init))
	if err != nil {
		return 0, fmt.Errorf("asking the kernel to hold the programs of %s (fanotify): %w", h.Name, err)
	}
	pid, err = gate.next(ctx, w)
	if err != nil {
		return 0, fmt.Errorf("waiting for %s on %s: %w", w.Program, h.Name, err)
	}
	return pid, nil
}

// A gate is where the kernel asks whether a program may begin.
type gate struct{ file *os.File }

// openGate makes a gate for all programs of the file system at root, in whichever mount namespace they are run.
func openGate(root string) (*gate, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	if err != nil {
		return nil, err
	}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, root); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &gate{os.NewFile(uintptr(fd), "fanotify")}, nil
}

// next stops the next process that does this work, and closes the gate.
func (g *gate) next(ctx context.Context, w Work) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	frozen := make(chan int)
	var looking sync.WaitGroup
	looking.Go(func() {
		cancel(g.watch(w.Program, func(pid int) {
			looking.Go(func() { offer(ctx, pid, w, frozen) })
		}))
	})
	defer looking.Wait()
	defer func() { _ = g.file.Close() }() // which lets everything through that still waits
	select {
	case pid := <-frozen:
		cancel(nil)
		return pid, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// watch lets every program begin, until the gate is closed. Those of the name given are stopped before, and found is told.
func (g *gate) watch(name string, found func(pid int)) error {
	buf := make([]byte, 4096)
	for {
		n, err := g.file.Read(buf)
		if err != nil {
			return err
		}
		var e unix.FanotifyEventMetadata
		for events := buf[:n]; len(events) >= unix.FAN_EVENT_METADATA_LEN; events = events[e.Event_len:] {
			if _, err := binary.Decode(events, binary.NativeEndian, &e); err != nil {
				return err
			}
			if err := g.pass(e, name, found); err != nil {
				return err
			}
		}
	}
}

// pass answers one question of the kernel. A process that is stopped while it asks stops in its new program.
func (g *gate) pass(e unix.FanotifyEventMetadata, name string, found func(pid int)) error {
	if e.Fd < 0 {
		return errors.New("the kernel lost count of the programs")
	}
	defer func() { _ = unix.Close(int(e.Fd)) }()
	file, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", e.Fd))
	if err != nil {
		return err
	}
	pid := int(e.Pid)
	stopped := filepath.Base(file) == name && pid > 0 && syscall.Kill(pid, syscall.SIGSTOP) == nil
	if err := binary.Write(g.file, binary.NativeEndian, unix.FanotifyResponse{Fd: e.Fd, Response: unix.FAN_ALLOW}); err != nil {
		return err
	}
	if stopped {
		found(pid)
	}
	return nil
}

// offer hands over a process that is about to stop, once it does and if it does the work, and lets it go on otherwise.
func offer(ctx context.Context, pid int, w Work, frozen chan<- int) {
	if stops(ctx, pid) && does(pid, w) && worked(ctx, pid, w.After) {
		select {
		case frozen <- pid:
			return
		case <-ctx.Done():
		}
	}
	_ = syscall.Kill(pid, syscall.SIGCONT) // it may be gone
}

// worked lets a process work for a while before it stops it again. It is false if there is none any more.
func worked(ctx context.Context, pid int, d time.Duration) bool {
	if d == 0 {
		return true
	}
	_ = syscall.Kill(pid, syscall.SIGCONT)
	return Pause(ctx, d) == nil && syscall.Kill(pid, syscall.SIGSTOP) == nil && stops(ctx, pid)
}

// stops waits until a process has stopped. It is false if it ended before, or nobody waits any more.
func stops(ctx context.Context, pid int) bool {
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		switch state[0] {
		case 'T':
			return true
		case 'Z', 'X':
			return false
		}
		if Pause(ctx, moment) != nil {
			return false
		}
	}
}

// does looks at the command line of a process.
func does(pid int, w Work) bool {
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && w.Args.Match(bytes.ReplaceAll(words, []byte{0}, []byte(" ")))
}
