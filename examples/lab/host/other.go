//go:build !linux

package host

import (
	"context"
	"errors"
	"os/exec"
)

var errNotLinux = errors.New("the lab makes namespaces, which only Linux has: run it on a Linux machine, or in a virtual one")

// A Host is one host of a lab. There are none here.
type Host struct {
	Config
	Dir string
}

// Open fails: hosts are for Linux.
func Open(string) (*Host, error) { return nil, errNotLinux }

// Start fails: hosts are for Linux.
func Start(context.Context, string, Config) (*Host, error) { return nil, errNotLinux }

// Supervise fails: hosts are for Linux.
func Supervise(string) error { return errNotLinux }

// Init fails: hosts are for Linux.
func Init(string) error { return errNotLinux }

// Kill fails: hosts are for Linux.
func (h *Host) Kill() error { return errNotLinux }

// Boot fails: hosts are for Linux.
func (h *Host) Boot() error { return errNotLinux }

// Off fails: hosts are for Linux.
func (h *Host) Off() error { return errNotLinux }

// Unplug fails: hosts are for Linux.
func (h *Host) Unplug() error { return errNotLinux }

// Plug fails: hosts are for Linux.
func (h *Host) Plug() error { return errNotLinux }

// Running is false: hosts are for Linux.
func (h *Host) Running() bool { return false }

// Command prepares a command that fails: hosts are for Linux.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Err = errNotLinux
	return cmd
}

func privileged() error { return errNotLinux }

func probes(string) []probe { return nil }
