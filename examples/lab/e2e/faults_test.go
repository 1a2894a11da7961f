//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const interrupt = syscall.SIGINT

// What a host is frozen in: the program, what its command line has to match, and how long it may work before.
type work struct{ program, args, after string }

func dpkg() work    { return work{"dpkg", "--(unpack|configure)", "100ms"} } // takes a second or more
func kubeadm() work { return work{"kubeadm", "upgrade (apply|node)", "0s"} } // the whole step takes 0.1 s on a worker

// A frost waits on a host for a process, to stop it at the start of its work or in the middle.
type frost struct {
	l    *lab
	host string
	work work
	cmd  *exec.Cmd
	pid  strings.Builder
}

// freeze stops the next process of this kind on the host, so that what is done to the host meanwhile is done in the middle of its
// step, however quick the work is. It has to be called before the step begins.
func (l *lab) freeze(host string, w work) *frost {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	l.t.Cleanup(cancel)
	f := &frost{l: l, host: host, work: w, cmd: l.command(ctx, "freeze", "--after", w.after, host, w.program, w.args)}
	f.cmd.Stdout = &f.pid
	if err := f.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return f
}

// wait returns when the process has been stopped. There is none to wait for if the upgrader ends first.
func (f *frost) wait(p *process) {
	f.l.t.Helper()
	came := make(chan error, 1)
	go func() { came <- f.cmd.Wait() }()
	select {
	case err := <-came:
		if err != nil {
			f.l.t.Fatalf("%s on %s never came: %v; %s", f.work.program, f.host, err, p.story())
		}
	case <-p.ended:
		f.l.t.Fatalf("%s on %s never came: %s", f.work.program, f.host, p.story())
	}
}

// thaw lets the process go on.
func (f *frost) thaw() {
	f.l.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(f.pid.String()))
	if err != nil {
		f.l.t.Fatalf("%s on %s has no number: %v", f.work.program, f.host, err)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		f.l.t.Logf("%s on %s was gone when it was to go on: %v", f.work.program, f.host, err)
	}
}

// A cut is a way in which the connections to a host are lost for a while. meanwhile is called in the middle.
type cut struct {
	name string
	do   func(l *lab, host string, meanwhile func())
}

// unplugged takes the network cable out.
func unplugged() cut {
	return cut{"unplugged", func(l *lab, host string, meanwhile func()) {
		l.run("unplug", host)
		time.Sleep(5 * time.Second)
		meanwhile()
		time.Sleep(5 * time.Second)
		l.run("plug", host)
	}}
}

// restarted restarts sshd and ends every session.
func restarted() cut {
	return cut{"sshd restarted", func(l *lab, host string, meanwhile func()) {
		l.sh(host, `systemctl stop ssh; pkill -KILL -f '^sshd: ' || :`)
		time.Sleep(4 * time.Second)
		meanwhile()
		l.sh(host, `systemctl start ssh`)
	}}
}

// stalled lets connections to sshd live and nothing come through, in silence.
func stalled() cut {
	const rule = "PATH=/usr/sbin:$PATH; iptables -w %[1]s INPUT -p tcp --dport 22 -j DROP; iptables -w %[1]s OUTPUT -p tcp --sport 22 -j DROP"
	return cut{"stalled", func(l *lab, host string, meanwhile func()) {
		l.sh(host, fmt.Sprintf(rule, "-I"))
		time.Sleep(15 * time.Second)
		meanwhile()
		time.Sleep(15 * time.Second)
		l.sh(host, fmt.Sprintf(rule, "-D"))
	}}
}
