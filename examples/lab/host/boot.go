//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// bootTimeout bounds the time from the first process of a host to systemd. It takes a tenth of a second on an idle
// machine; a mount may wait for seconds on a disk that is busy.
const bootTimeout = 30 * time.Second

// settleTimeout bounds the wait for the cgroups of a host that went down. They are empty within 0.1 s here.
const settleTimeout = 10 * time.Second

// searchPath is Debian's, for root.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ready is what pid 1 reports just before it becomes systemd. Anything else is what went wrong.
const ready = "ready"

var errKilled = errors.New("it was killed while it booted")

// A life is the time between a boot and the end of the last process.
type life struct {
	cancel context.CancelFunc // kills
	up     chan int           // gets the pid of systemd when it has begun
	ended  chan ending        // gets the end
	pid    int                // 0 until systemd has begun
	doomed bool               // it has been killed
}

// An ending is how a life ended.
type ending struct {
	status syscall.WaitStatus // of pid 1, if begun
	begun  bool               // systemd had begun
	err    error              // why it had not
}

// reboots: systemd ended by reboot(2), which kills pid 1 of a pid namespace by SIGHUP if it asks for a restart, and by
// SIGINT if it asks to halt or to power off.
func (e ending) reboots() bool {
	return e.begun && e.status.Signaled() && e.status.Signal() == syscall.SIGHUP
}

func (e ending) String() string {
	switch {
	case !e.begun:
		return "did not boot: " + e.asError().Error()
	case e.reboots():
		return "reboots"
	case e.status.Signaled() && e.status.Signal() == syscall.SIGINT:
		return "powered off"
	case e.status.Signaled() && e.status.Signal() == syscall.SIGKILL:
		return "killed"
	case e.status.Signaled():
		return "systemd ended by signal: " + e.status.Signal().String()
	}
	return fmt.Sprintf("systemd ended with status %d", e.status.ExitStatus())
}

// asError says why a boot that somebody waits for came to nothing.
func (e ending) asError() error {
	switch {
	case e.begun:
		return errors.New("it went off again: " + e.String())
	case e.err != nil:
		return e.err
	}
	return errKilled
}

// begin boots the host in dir.
func begin(dir string) *life {
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{cancel: cancel, up: make(chan int, 1), ended: make(chan ending, 1)}
	go func() {
		// The kernel kills pid 1 when the thread that made it ends, so this one has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer cancel()
		l.ended <- live(ctx, dir, l.up)
	}()
	return l
}

// live goes through one life of the host in dir, which ends when it goes down or ctx ends.
func live(ctx context.Context, dir string, up chan<- int) ending {
	c, err := load(dir)
	if err != nil {
		return ending{err: err}
	}
	groups, err := freshCgroups(ctx, dir, c.Cgroup)
	if err != nil {
		return ending{err: err}
	}
	e := liveIn(ctx, dir, c, groups, up)
	ctx, cancel := within(settleTimeout) // whoever ended this life did not mean the cleaning
	defer cancel()
	if err := dropCgroups(ctx, dir); err != nil {
		log.Printf("it left %v", err) // the next boot tries again, and says so
	}
	return e
}

// liveIn is the part of a life that has processes.
func liveIn(ctx context.Context, dir string, c Config, groups []string, up chan<- int) ending {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	console, err := openConsole(dir)
	if err != nil {
		return ending{err: err}
	}
	defer console.close()
	p, err := startInit(ctx, dir, console.terminal)
	if err != nil {
		return ending{err: err}
	}
	slow := time.AfterFunc(bootTimeout, cancel)
	err = p.guide(ctx, c, groups)
	late := !slow.Stop()
	switch {
	case err == nil:
		up <- p.cmd.Process.Pid
	case late:
		err = fmt.Errorf("it did not boot within %s: %w", bootTimeout, err)
	case ctx.Err() != nil:
		err = errKilled
	}
	if err != nil {
		cancel()
	}
	_ = p.cmd.Wait() // the status says it better
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ending{status: status, begun: err == nil, err: err}
}

// A first is the first process of a host, until it is systemd. It waits for a word before it begins, and reports.
type first struct {
	cmd    *exec.Cmd
	word   *os.File
	report *os.File
}

func startInit(ctx context.Context, dir string, terminal *os.File) (*first, error) {
	hear, word, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hear.Close()
	report, tell, err := os.Pipe()
	if err != nil {
		_ = word.Close()
		return nil, err
	}
	defer tell.Close()
	p := &first{cmd: initCommand(ctx, dir), word: word, report: report}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = terminal, terminal, []*os.File{hear, tell}
	if err := p.cmd.Start(); err != nil {
		p.close()
		return nil, fmt.Errorf("starting its first process in namespaces of its own: %w", err)
	}
	return p, nil
}

// initCommand is this very program, in namespaces. The one of cgroups comes later: its root is where it is made.
func initCommand(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "internal-init", dir)
	cmd.Env = []string{"PATH=" + searchPath}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// guide does what has to be done from outside, and waits until systemd has begun.
func (p *first) guide(ctx context.Context, c Config, groups []string) error {
	defer p.close()
	if err := enterCgroups(groups, p.cmd.Process.Pid); err != nil {
		return err
	}
	if err := layCable(ctx, c, p.cmd.Process.Pid); err != nil {
		return err
	}
	if _, err := p.word.WriteString("\n"); err != nil {
		return fmt.Errorf("its first process ended: %w", err)
	}
	report, err := io.ReadAll(p.report)
	if err != nil {
		return fmt.Errorf("its first process does not report: %w", err)
	}
	text := strings.TrimSpace(string(report))
	if text == ready && ctx.Err() == nil {
		return nil
	}
	if text = strings.TrimPrefix(text, ready); text == "" {
		return errKilled
	}
	return errors.New(text)
}

func (p *first) close() {
	_ = p.word.Close()
	_ = p.report.Close()
}

// verdict turns the outcome of a request into its answer, on one line.
func verdict(err error) string {
	if err == nil {
		return "ok"
	}
	return "error " + strings.Join(strings.Fields(err.Error()), " ")
}
