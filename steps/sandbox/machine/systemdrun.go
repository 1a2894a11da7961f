package machine

import (
	"slices"
	"strings"
)

// systemdRun starts a transient service.
func systemdRun(c *call) int {
	fl, rest, ok := c.flags("qrGdPt", "quiet remain-after-exit collect no-block wait pipe same-dir no-ask-password", "upEM", "unit property setenv description service-type working-directory uid gid slice nice", true)
	if !ok {
		return 1
	}
	if len(rest) == 0 {
		c.eprintf("Command line to execute required.\n")
		return 1
	}
	if !c.root() {
		c.eprintf("Failed to start transient service unit: Interactive authentication required.\n")
		return 1
	}
	s, ok := c.wanted(fl, rest)
	if !ok {
		return 1
	}
	program, err := c.m.which(s.user, defaultPath, "/", rest[0])
	if err != nil {
		c.eprintf("Failed to find executable %s: No such file or directory\n", rest[0])
		return 1
	}
	s.args = expandUnit(s.args, s.env)
	s.args[0] = program
	if err := c.m.run(s); err != nil {
		c.eprintf("Failed to start transient service unit: %v\n", err)
		return 1
	}
	if !has(fl, "q", "quiet") {
		c.eprintf("Running as unit: %s\n", s.unit.name)
	}
	if (s.oneshot || has(fl, "wait")) && !has(fl, "no-block") {
		select {
		case <-s.unit.done:
			return s.unit.exitStatus(c.m)
		case <-c.ctx.Done():
		}
	}
	return 0
}

// wanted reads the flags of systemd-run.
func (c *call) wanted(fl []flag, args []string) (start, bool) {
	s := start{
		unit: &unit{
			name: unitName(value(fl, "run-u"+newInvocation()[:6], "u", "unit")), transient: true, props: map[string]string{},
			description: value(fl, strings.Join(args, " "), "description"), remain: has(fl, "r", "remain-after-exit"), collect: has(fl, "G", "collect"),
		},
		dir: value(fl, "/", "working-directory"), user: value(fl, "root", "uid"), args: args, out: "journal", err: "inherit",
		oneshot: value(fl, "", "service-type") == "oneshot",
	}
	for _, f := range fl {
		switch f.name {
		case "E", "setenv":
			s.env = append(s.env, c.setenv(f.value))
		case "p", "property":
			if !s.property(f.value) {
				c.eprintf("Unknown assignment: %s\n", f.value)
				return s, false
			}
		}
	}
	return s, true
}

func (u *unit) exitStatus(m *Machine) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return u.status
}

// setenv is NAME=value, or NAME for the caller's own value.
func (c *call) setenv(word string) string {
	if strings.Contains(word, "=") {
		return word
	}
	return word + "=" + c.getenv(word)
}

// ignored are properties that change nothing on a pretend machine.
var ignored = []string{
	"Type", "KillMode", "TimeoutStopSec", "TimeoutStartSec", "RuntimeMaxSec", "Slice", "Nice", "OOMPolicy", "OOMScoreAdjust", "SendSIGHUP", "SendSIGKILL",
	"StandardInput", "Delegate", "LimitNOFILE", "LimitCORE", "IgnoreSIGPIPE", "UMask", "DefaultDependencies", "Restart", "KillSignal", "FinalKillSignal", "TasksMax", "MemoryMax", "SyslogIdentifier", "PrivateTmp", "RefuseManualStop", "Conflicts", "Before", "After", "IPAccounting", "CPUWeight", "IOWeight",
}

func (s *start) property(assignment string) bool {
	key, val, ok := strings.Cut(assignment, "=")
	if !ok {
		return false
	}
	switch key {
	case "RemainAfterExit":
		s.unit.remain = val == "yes" || val == "true" || val == "1"
	case "StandardOutput":
		s.out = val
	case "StandardError":
		s.err = val
	case "WorkingDirectory":
		s.dir = val
	case "User":
		s.user = val
	case "Environment":
		s.env = append(s.env, strings.Fields(strings.Trim(val, `"'`))...)
	case "CollectMode":
		s.unit.collect = val == "inactive-or-failed"
	case "Description":
		s.unit.description = val
	default:
		if !slices.Contains(ignored, key) {
			return false
		}
		if key == "Type" {
			s.oneshot = val == "oneshot"
		}
		s.unit.props[key] = val
	}
	return true
}

// expandUnit does to the words of a command line what the service manager does: $$ is a dollar, ${NAME} a variable of
// the unit, and $NAME as a whole word as many words as it holds.
func expandUnit(args, env []string) []string {
	vars := map[string]string{"PATH": defaultPath, "LANG": "C.UTF-8"}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		vars[k] = v
	}
	var out []string
	for i, a := range args {
		if i > 0 && len(a) > 1 && a[0] == '$' && isName(a[1:]) {
			out = append(out, strings.Fields(vars[a[1:]])...)
			continue
		}
		var b strings.Builder
		for a != "" {
			switch {
			case strings.HasPrefix(a, "$$"):
				b.WriteByte('$')
				a = a[2:]
			case strings.HasPrefix(a, "${") && strings.Contains(a, "}") && isName(a[2:strings.IndexByte(a, '}')]):
				end := strings.IndexByte(a, '}')
				b.WriteString(vars[a[2:end]])
				a = a[end+1:]
			default:
				b.WriteByte(a[0])
				a = a[1:]
			}
		}
		out = append(out, b.String())
	}
	return out
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
