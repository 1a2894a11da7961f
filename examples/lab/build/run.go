//go:build linux

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// niceness of what builds, so that the machine stays usable, and a running lab with it.
	niceness = 10
	// grace is how long a command that was interrupted may tidy up; debootstrap and go take less than a second.
	grace = 3 * time.Second
	// tailLines of a log are shown when a command fails.
	tailLines = 20
)

// A command is one program to run for a part.
type command struct {
	dir     string
	env     []string // added to the environment
	private bool     // what it mounts goes with it
	stdout  io.Writer
	argv    []string
}

// run runs a command to its end; its output goes to the log. It is interrupted with all its children when ctx ends.
func (j *job) run(ctx context.Context, c command) error {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = j.log, j.log
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.private {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error { return interrupt(cmd.Process.Pid) }
	cmd.WaitDelay = 2 * grace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", c.argv[0], err)
	}
	_ = unix.Setpriority(unix.PRIO_PGRP, cmd.Process.Pid, niceness) // a courtesy
	if err := cmd.Wait(); err != nil {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // whoever is left of its group
		return fmt.Errorf("%s: %w", strings.Join(c.argv[:min(3, len(c.argv))], " "), err)
	}
	return nil
}

// interrupt ends a process group, by force if it must: what a shell runs in the background does not hear of an interrupt.
func interrupt(group int) error {
	time.AfterFunc(grace, func() { _ = unix.Kill(-group, unix.SIGKILL) })
	return unix.Kill(-group, unix.SIGINT)
}

// output is run for what the command prints.
func (j *job) output(ctx context.Context, c command) ([]byte, error) {
	var out bytes.Buffer
	c.stdout = &out
	err := j.run(ctx, c)
	return out.Bytes(), err
}

// lastLines is the end of a log, for a person to read.
func lastLines(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return errors.Unwrap(err).Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
