package machine

import (
	"context"
	"errors"
	"time"
)

// The methods of this file are what befalls a machine from outside. None of them waits for its end.

// bootTime and sshdTime are how long a machine is away at Speed 1: short enough to wait for in a demonstration, long
// enough that a client notices.
const (
	bootTime = 300 * time.Millisecond
	sshdTime = 150 * time.Millisecond
)

// DropConnections cuts every SSH connection; sshd goes on and takes new ones. What ran without printing goes on.
func (m *Machine) DropConnections() { m.server.drop() }

// RestartSSHD makes sshd refuse connections for a moment. Sessions go on, as they do when Debian restarts it.
func (m *Machine) RestartSSHD() { m.server.refuse(m.scaled(sshdTime)) }

// Stall makes every SSH connection silent for a time: bytes are neither read nor written, and nothing is closed.
func (m *Machine) Stall(d time.Duration) { m.server.stall(d) }

// HoldDpkgLock makes a process of that name hold the locks of dpkg for a time, or until it is told to release them.
func (m *Machine) HoldDpkgLock(d time.Duration, who string) (release func()) {
	took := make(chan struct{})
	held, release := context.WithTimeoutCause(context.Background(), d, errors.New("the lock was held for long enough"))
	up := m.during(func(ctx context.Context) {
		ctx, p := m.spawn(ctx, who, cmdline([]string{"/usr/bin/" + who}), nil)
		defer m.end(p)
		ok := m.lockDpkg(ctx, p, -1)
		close(took)
		if ok {
			select {
			case <-held.Done():
			case <-ctx.Done():
			}
		}
		release()
		m.locks.release(p)
	})
	if !up {
		return release
	}
	select {
	case <-took:
	case <-time.After(time.Second): // somebody else has it; this one waits like any other
	}
	return release
}

// BreakNextInstall makes the next installation of a package fail half-way: unpacked, but not configured.
func (m *Machine) BreakNextInstall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apt.next = postinstFails
}

// HangNextInstall makes the next installation of a package stay half-way, unpacked but not configured, until it is
// killed.
func (m *Machine) HangNextInstall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apt.next = postinstHangs
}

// Reboot takes the machine down and brings it up again after a moment, with a new boot ID.
func (m *Machine) Reboot() { m.reboot(nil) }

// PowerOff takes the machine down as a power cut does; it stays down until PowerOn.
func (m *Machine) PowerOff() { m.shutdown("power cut") }

// PowerOn boots a machine that is down.
func (m *Machine) PowerOn() {
	if _, on := m.up(); !on {
		m.boot()
	}
}

func (m *Machine) reboot(p *proc) {
	if _, on := m.up(); !on {
		return
	}
	m.record(p, EffectReboot, "rebooted")
	m.all.Go(func() {
		m.shutdown("reboot")
		if m.server.wait(m.scaled(bootTime)) {
			m.boot()
		}
	})
}

// wait sleeps until the time is over (true) or ctx is done.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
