//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for anything that the program does; longer than any step of the runbook takes here.
const patience = 15 * time.Minute

// An operator runs upgrader against a lab, with a state directory of their own.
type operator struct {
	t     *testing.T
	lab   *lab
	state string
}

func (l *lab) operator() *operator {
	l.t.Helper()
	return &operator{t: l.t, lab: l, state: l.t.TempDir()}
}

// runID is the run that this operator began.
func (o *operator) runID() string {
	o.t.Helper()
	out, err := exec.Command(filepath.Join(programs, "upgrader"), "--state-dir", o.state, "runs").CombinedOutput()
	lines := strings.Split(string(out), "\n")
	if err != nil || len(lines) < 2 || lines[1] == "" {
		o.t.Fatalf("upgrader runs: %v\n%s", err, out)
	}
	return strings.Fields(lines[1])[0]
}

// An event is a line of `upgrader run --output json`.
type event struct {
	Kind   string `json:"kind"`
	Node   string `json:"node"` // step@host
	Ticket string `json:"ticket"`
	State  string `json:"state"`
	Say    string `json:"say"`
	Of     string `json:"of"`
	Why    string `json:"why"`
}

// A process is one upgrader at work.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	began  time.Time

	mu     sync.Mutex
	events []event
	more   chan struct{} // closed and replaced at every event
	ended  chan struct{} // closed when the process is gone
}

// run starts `upgrader run` of a runbook.
func (o *operator) run(plan string, args ...string) *process {
	o.t.Helper()
	return o.start(slices.Concat([]string{"run", plan, "--yes", "--output", "json"}, o.lab.reach(), args)...)
}

// resume starts `upgrader resume`.
func (o *operator) resume(args ...string) *process {
	o.t.Helper()
	return o.start(append([]string{"resume", "--yes", "--output", "json"}, args...)...)
}

func (o *operator) start(args ...string) *process {
	o.t.Helper()
	p := &process{t: o.t, began: time.Now(), more: make(chan struct{}), ended: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(programs, "upgrader"), append([]string{"--state-dir", o.state}, args...)...)
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(p.kill)
	go p.read(out)
	return p
}

// read takes in the events until the process ends.
func (p *process) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // the preview of a dry run
		}
		p.mu.Lock()
		p.events = append(p.events, e)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // the exit code is asked for later
	close(p.ended)
}

// next returns event i, or false if the process ended before.
func (p *process) next(i int) (event, bool) {
	for deadline := time.After(patience); ; {
		p.mu.Lock()
		more, seen := p.more, p.events
		p.mu.Unlock()
		if i < len(seen) {
			return seen[i], true
		}
		select {
		case <-more:
		case <-p.ended:
			p.mu.Lock()
			defer p.mu.Unlock()
			if i < len(p.events) {
				return p.events[i], true
			}
			return event{}, false
		case <-deadline:
			return event{}, false
		}
	}
}

// until waits for an event, from the first one on.
func (p *process) until(kind, node string) event {
	p.t.Helper()
	for i := 0; ; i++ {
		e, ok := p.next(i)
		if !ok {
			p.t.Fatalf("no %s of %s came: %s", kind, node, p.story())
		}
		if e.Kind == kind && e.Node == node {
			return e
		}
	}
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(2 * patience):
		p.t.Fatalf("it does not end: %s", p.story())
	}
	return p.cmd.ProcessState.ExitCode()
}

// ends requires an exit code, and words on standard error.
func (p *process) ends(code int, words ...string) {
	p.t.Helper()
	if got := p.exit(); got != code {
		p.t.Fatalf("exit code %d, want %d: %s", got, code, p.story())
	}
	for _, w := range words {
		if !strings.Contains(p.stderr.String(), w) {
			p.t.Errorf("%q is not in what it said:\n%s", w, p.stderr.String())
		}
	}
}

// kill is kill -9.
func (p *process) kill() {
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) && !strings.Contains(err.Error(), "already finished") {
		p.t.Error(err)
	}
	<-p.ended
}

// story is what is worth reading of a process that did not do as it should.
func (p *process) story() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", strings.Join(p.cmd.Args, " "))
	for _, e := range p.events[max(0, len(p.events)-15):] {
		fmt.Fprintf(&b, "  %s %s %s %s %s\n", e.Kind, e.Node, e.State, e.Say, e.Why)
	}
	select {
	case <-p.ended:
		fmt.Fprintf(&b, "%s, standard error:\n%s", p.cmd.ProcessState, p.stderr.String())
	default: // it still writes there
	}
	return b.String()
}
