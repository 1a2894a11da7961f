package systemd

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/remote"
)

// A unit is what look.sh tells.
type unit struct {
	properties map[string]string
	started    time.Time            // of the main process, to the second; zero: none runs
	exe        string               // the program that runs
	files      map[string]time.Time // when the configuration files were written
	now        time.Time            // by the host's clock
	version    string               // of the kubelet installed
	log        []string
}

func parse(text string) (unit, error) {
	u := unit{properties: map[string]string{}, files: map[string]time.Time{}}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch key, value, isProperty := strings.Cut(line, "="); {
		case word == "log":
			u.log = append(u.log, rest)
		case word == "exe":
			u.exe = rest
		case word == "version":
			u.version = rest
		case word == "now":
			n, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				return unit{}, fmt.Errorf("the answer %q is not understood", line)
			}
			u.now = time.Unix(n, 0)
		case word == "file":
			seconds, name, _ := strings.Cut(rest, " ")
			n, err := strconv.ParseInt(seconds, 10, 64)
			if err != nil {
				return unit{}, fmt.Errorf("the answer %q is not understood", line)
			}
			u.files[name] = time.Unix(n, 0)
		case isProperty:
			u.properties[key] = value
		}
	}
	if u.properties["LoadState"] == "" || u.properties["ActiveState"] == "" {
		return unit{}, fmt.Errorf("systemctl show did not say what state it is in")
	}
	started, err := remote.ParseStamp(u.properties["ExecMainStartTimestamp"])
	if err != nil {
		return unit{}, err
	}
	u.started = started
	return u, nil
}

// stale says why the unit does not run what is installed and configured now, or "".
func (u unit) stale() string {
	if !u.active() {
		return u.words()
	}
	if program, replaced := strings.CutSuffix(u.exe, deleted); replaced {
		return "runs a " + path.Base(program) + " that has been replaced"
	}
	if u.properties["NeedDaemonReload"] == "yes" {
		return "runs with unit files that have changed"
	}
	// Both times are whole seconds. A file written in the second of the start counts as read: kubeadm writes, and then
	// the unit is started, while the other order would mean an upgrade within a second of a start.
	for _, f := range sorted(u.files) {
		future := !u.now.IsZero() && u.files[f].After(u.now) // written under another clock; no restart would cure it
		if !future && !u.started.IsZero() && u.files[f].After(u.started) {
			return "was started before " + f + " was written"
		}
	}
	return ""
}

// deleted is what the kernel puts behind the name of a program whose file was replaced (proc(5), /proc/pid/exe).
const deleted = " (deleted)"

func (u unit) active() bool { return u.properties["ActiveState"] == "active" }

// moves tells whether a start may bring another version of the program than the one that runs, if any does.
func (u unit) moves() bool { return !u.active() || u.exe == "" || strings.HasSuffix(u.exe, deleted) }

// busy tells whether systemd is at work on the unit by itself.
func (u unit) busy() bool {
	switch u.properties["ActiveState"] {
	case "activating", "deactivating", "reloading":
		return true
	}
	return false
}

// words describe a unit that is not active, with the last that it said.
func (u unit) words() string {
	s := fmt.Sprintf("%s (%s)", u.properties["ActiveState"], u.properties["SubState"])
	if n := u.properties["NRestarts"]; n != "" && n != "0" {
		s += ", restarted " + n + " times by systemd"
	}
	if len(u.log) > 0 {
		s += ": " + strings.Join(u.log, " / ")
	}
	return s
}
