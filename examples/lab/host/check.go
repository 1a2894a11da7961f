package host

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

var errNotRoot = errors.New("the lab makes namespaces, mounts and a bridge: run it as root (sudo make lab-up)")

// A need is a command that the package runs, and the Debian package that has it.
type need struct{ command, debian string }

var needs = []need{
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
}

// missing says in one line how to get the commands that are not there.
func missing(find func(string) (string, error)) error {
	var commands, packages []string
	for _, n := range needs {
		if _, err := find(n.command); err == nil {
			continue
		}
		commands = append(commands, n.command)
		if !slices.Contains(packages, n.debian) {
			packages = append(packages, n.debian)
		}
	}
	if len(commands) == 0 {
		return nil
	}
	return fmt.Errorf("these commands are missing: %s; on Debian and Ubuntu: apt-get install -y %s",
		strings.Join(commands, ", "), strings.Join(packages, " "))
}

// Check tells all that this machine lacks for hosts whose files lie in cacheDir, each with what to do about it. It
// leaves nothing behind.
func Check(cacheDir string) error {
	faults := []error{missing(exec.LookPath)}
	if err := privileged(); err != nil {
		faults = append(faults, err) // all the rest would fail, and be no news
	} else {
		for _, p := range probes(cacheDir) {
			faults = append(faults, p.fault())
		}
	}
	return report(faults)
}

// report joins the faults, one a line.
func report(faults []error) error {
	text := ""
	for _, f := range faults {
		if f != nil {
			text += "\n  - " + f.Error()
		}
	}
	if text == "" {
		return nil
	}
	return errors.New("this machine cannot run the lab:" + text)
}

// A probe tries one thing that hosts need.
type probe struct {
	what string
	try  func() error
	todo string
}

func (p probe) fault() error {
	if err := p.try(); err != nil {
		return fmt.Errorf("%s: %w; %s", p.what, err, p.todo)
	}
	return nil
}
