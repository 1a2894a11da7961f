//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// start asks for a boot, and starts a supervisor for as long as nobody hears it. Of several that are started at the same
// time one gets the lock, the others end without a word; one that is about to end may still hold it.
func (h *Host) start(ctx context.Context) error {
	var ended <-chan error // nil: there is no supervisor of ours
	for {
		_, err := h.ask(ctx, "boot")
		if !errors.Is(err, errSilent) {
			return err
		}
		if ended == nil {
			if ended, err = h.startSupervisor(); err != nil {
				return err
			}
		}
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("its supervisor failed: %w%s", err, h.lastWords())
			}
			ended = nil
		default:
		}
		if err := Pause(ctx, glance); err != nil {
			return err
		}
	}
}

// startSupervisor starts this very program as a supervisor that outlives it.
func (h *Host) startSupervisor() (<-chan error, error) {
	said, err := os.OpenFile(h.path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := exec.Command("/proc/self/exe", "internal-host", h.Dir)
	cmd.Stdout, cmd.Stderr, cmd.Dir = said, said, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting its supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

// lastWords is the last line that a supervisor left.
func (h *Host) lastWords() string {
	data, err := os.ReadFile(h.path(logFile))
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if err != nil || lines[len(lines)-1] == "" {
		return ""
	}
	return ": " + lines[len(lines)-1]
}
