package machine

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
)

// The commands of this file are about the machine, its users and its processes.

func systemCommands() map[string]command {
	return map[string]command{
		"date": date, "id": id, "whoami": func(c *call) int { c.printf("%s\n", c.p.user); return 0 }, "hostname": hostname, "ip": ip,
		"uname": uname, "nproc": func(c *call) int { c.printf("2\n"); return 0 }, "sleep": sleep, "sudo": sudo, "sh": sh, "dash": sh,
		"env": env, "nohup": detached, "setsid": detached, "timeout": timeout, "xargs": xargs, "nice": prefix, "ionice": prefix,
		"true": noop, "false": func(*call) int { return 1 }, "echo": builtin, "printf": builtin, "test": builtin, "[": builtin,
		"kill": kill, "flock": flock, "reboot": reboot, "shutdown": reboot, "ps": ps, "runuser": runuser, "stty": noop, "uptime": uptime,
	}
}

// strftime are the conversions of date that Go's layouts can say.
var strftime = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05", 'z': "-0700",
	'Z': "MST", 'y': "06", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'j': "002", 'I': "03", 'p': "PM",
	'N': "000000000", 'e': "_2", 'R': "15:04", 'D': "01/02/06",
}

func date(c *call) int {
	fl, rest, ok := c.flags("uR", "utc universal rfc-email", "dI", "date iso-8601", false)
	if !ok {
		return 2
	}
	t := c.m.now() // pretend hosts live in UTC
	if d := value(fl, "", "d", "date"); d != "" && d != "now" {
		var ok bool
		if t, ok = parseDate(d); !ok {
			return c.fail(1, "invalid date '%s'", d)
		}
	}
	format := "+%a %b %e %H:%M:%S %Z %Y"
	if has(fl, "I", "iso-8601") {
		format = "+%Y-%m-%dT%H:%M:%S+00:00"
	}
	if len(rest) > 0 {
		format = rest[0]
	}
	if !strings.HasPrefix(format, "+") {
		return c.unknown("setting the date")
	}
	var b strings.Builder
	for i := 1; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, known := strftime[format[i]]
		switch {
		case format[i] == 's':
			fmt.Fprint(&b, t.Unix())
		case format[i] == 'N':
			fmt.Fprintf(&b, "%09d", t.Nanosecond())
		case format[i] == '%':
			b.WriteByte('%')
		case !known:
			return c.unknown("date %" + string(format[i]))
		default:
			b.WriteString(t.Format(layout))
		}
	}
	c.printf("%s\n", b.String())
	return 0
}

// parseDate reads the dates that scripts give: @seconds, RFC 3339, and "N days ago".
func parseDate(s string) (time.Time, bool) {
	if secs, ok := strings.CutPrefix(s, "@"); ok {
		n, err := strconv.ParseInt(secs, 10, 64)
		return time.Unix(n, 0).UTC(), err == nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02", "Mon 2006-01-02 15:04:05 MST"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	words := strings.Fields(s)
	if s == "now" {
		return time.Now().UTC(), true
	}
	if len(words) == 3 && words[2] == "ago" {
		units := map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}
		if u, ok := units[strings.TrimSuffix(words[1], "s")]; ok {
			return time.Now().UTC().Add(-time.Duration(number(words[0])) * u), true
		}
	}
	return time.Time{}, false
}

func id(c *call) int {
	fl, _, ok := c.flags("ugnG", "user group name", "", "", false)
	if !ok {
		return 2
	}
	n := userID(c.p.user)
	switch {
	case has(fl, "n", "name") && has(fl, "u", "g", "G", "user", "group"):
		c.printf("%s\n", c.p.user)
	case has(fl, "u", "g", "G", "user", "group"):
		c.printf("%s\n", n)
	default:
		c.printf("uid=%s(%s) gid=%s(%s) groups=%s(%s)\n", n, c.p.user, n, c.p.user, n, c.p.user)
	}
	return 0
}

// ip knows how to list addresses, one a line.
func ip(c *call) int {
	line := strings.Join(c.args[1:], " ")
	if line != "-o addr show" && line != "-o addr" && line != "-o address show" {
		return c.unknown("ip " + line)
	}
	c.printf("1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n")
	c.printf("2: eth0    inet %s/24 scope global eth0\\       valid_lft forever preferred_lft forever\n", c.m.cfg.NodeAddress)
	return 0
}

func hostname(c *call) int {
	fl, rest, ok := c.flags("sf", "short fqdn", "", "", false)
	if !ok || len(rest) > 0 {
		return c.unknown(strings.Join(c.args, " "))
	}
	name := c.m.cfg.Name
	if has(fl, "s", "short") {
		name, _, _ = strings.Cut(name, ".")
	}
	c.printf("%s\n", name)
	return 0
}

func uname(c *call) int {
	words := map[string]string{"s": "Linux", "n": c.m.cfg.Name, "r": "6.1.0-18-amd64", "m": "x86_64", "v": "#1 SMP Debian"}
	fl, _, ok := c.flags("snrmva", "", "", "", false)
	if !ok {
		return 2
	}
	var out []string
	for _, k := range []string{"s", "n", "r", "v", "m"} {
		if has(fl, k, "a") || len(fl) == 0 && k == "s" {
			out = append(out, words[k])
		}
	}
	c.printf("%s\n", strings.Join(out, " "))
	return 0
}

func uptime(c *call) int {
	data, err := c.m.tree.read("root", "/proc/uptime")
	if err != nil {
		return 1
	}
	secs, _, _ := strings.Cut(string(data), ".")
	c.printf(" up %s seconds,  1 user,  load average: 0.10, 0.12, 0.09\n", secs)
	return 0
}

func sleep(c *call) int {
	var d time.Duration
	for _, a := range c.args[1:] {
		s := seconds(a)
		if s < 0 {
			if a == "infinity" {
				s = 1 << 60
			} else {
				return c.fail(1, "invalid time interval '%s'", a)
			}
		}
		d += s
	}
	if len(c.args) < 2 {
		return c.fail(1, "missing operand")
	}
	if !c.sleep(c.m.scaled(d)) {
		return 130
	}
	return 0
}

// builtin runs what is a builtin of the shell and a command too.
func builtin(c *call) int {
	if c.args[0] == "[" || strings.HasSuffix(c.args[0], "/[") {
		return c.shell(`[ "$@"`, "sh", nil, c.args[1:])
	}
	name := c.args[0][strings.LastIndex(c.args[0], "/")+1:]
	return c.shell(name+` "$@"`, "sh", nil, c.args[1:])
}

// sh is dash: a script from -c, from a file or from the standard input.
func sh(c *call) int {
	args := c.args[1:]
	var options []string
	text, fromInput := "", false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		letters := word[1:]
		if strings.Contains(letters, "c") {
			if len(args) == 0 {
				return c.fail(2, "0: -c requires an argument")
			}
			text, args = args[0], args[1:]
			if text == "" {
				text = ":"
			}
		}
		fromInput = fromInput || strings.Contains(letters, "s")
		for _, l := range strings.Map(dropCSL, letters) {
			if !strings.ContainsRune("euxfn", l) {
				return c.fail(2, "0: Illegal option -%c", l)
			}
			options = append(options, word[:1]+string(l))
		}
	}
	switch {
	case text != "":
		name := "sh"
		if len(args) > 0 {
			name, args = args[0], args[1:]
		}
		return c.shell(text, name, options, args)
	case len(args) > 0 && !fromInput:
		data, err := c.slurp(args[0])
		if err != nil {
			c.eprintf("sh: 0: cannot open %s: %s\n", args[0], reason(err))
			return 2
		}
		return c.shell(string(data), args[0], options, args[1:])
	}
	return c.shellInput(options, args)
}

func dropCSL(r rune) rune {
	if strings.ContainsRune("csl", r) {
		return -1
	}
	return r
}

// slurpInput reads the standard input to its end, or until the process is ended.
func (c *call) slurpInput() ([]byte, error) {
	if c.in == nil {
		return nil, nil
	}
	defer readable(c.ctx, c.in)()
	return io.ReadAll(c.in)
}

// withEnv is the call's environment with some variables set, or a fresh one.
func (c *call) withEnv(fresh bool, without []string, set []string) expand.Environ {
	var list []string
	if !fresh {
		list = slices.DeleteFunc(exported(c.env), func(kv string) bool {
			name, _, _ := strings.Cut(kv, "=")
			return slices.Contains(without, name)
		})
	}
	return expand.ListEnviron(append(list, set...)...)
}

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && !strings.ContainsAny(name, "/ -.")
}

func env(c *call) int {
	fl, rest, ok := c.flags("i0", "ignore-environment", "uC", "unset chdir", true)
	if !ok {
		return 125
	}
	var set, unset []string
	for len(rest) > 0 && isAssignment(rest[0]) {
		set, rest = append(set, rest[0]), rest[1:]
	}
	for _, f := range fl {
		if f.name == "u" || f.name == "unset" {
			unset = append(unset, f.value)
		}
	}
	child := *c
	child.env = c.withEnv(has(fl, "i", "ignore-environment"), unset, set)
	child.dir = c.path(value(fl, c.dir, "C", "chdir"))
	if len(rest) == 0 {
		for _, kv := range exported(child.env) {
			c.printf("%s\n", kv)
		}
		return 0
	}
	if child.env.Get("PATH").String() == "" {
		child.env = expand.ListEnviron(append(exported(child.env), "PATH="+defaultPath)...)
	}
	return child.run(rest)
}

// prefix runs the command that follows the flags.
func prefix(c *call) int {
	_, rest, ok := c.flags("", "", "nc", "adjustment class", true)
	if !ok || len(rest) == 0 {
		return 125
	}
	return c.run(rest)
}

// detached is setsid and nohup: what they run outlives the session and the shell that it was started from.
func detached(c *call) int {
	fl, rest, ok := c.flags("fwc", "fork wait ctty", "", "", true)
	if !ok || len(rest) == 0 {
		return c.fail(1, "no command specified")
	}
	child := *c
	child.args = rest
	done := make(chan int, 1)
	up := c.m.during(func(boot context.Context) {
		ctx, p := c.m.spawn(context.WithValue(boot, procKey{}, c.p), rest[0], cmdline(rest), nil)
		defer c.m.end(p)
		child.ctx, child.p = ctx, p
		done <- c.m.execIn(&child)
	})
	if !up || has(fl, "f", "fork") {
		return 0
	}
	select {
	case status := <-done:
		return status
	case <-c.ctx.Done(): // whoever waited is gone; the command goes on
		return 130
	}
}

// promptTime is what commands get at least of a limit that hurries with the pretend time, since they take real time
// only: on a busy computer that is not nothing.
const promptTime = 10 * time.Second

var prompt = []string{"apt-config", "apt-get", "apt-mark", "crictl", "curl", "df", "du", "gpgv", "journalctl", "kubeadm", "kubectl", "kubelet", "systemctl"}

func timeout(c *call) int {
	fl, rest, ok := c.flags("v", "foreground preserve-status verbose", "ks", "kill-after signal", true)
	if !ok || len(rest) < 2 {
		return 125
	}
	limit := seconds(rest[0])
	if limit < 0 {
		return c.fail(125, "invalid time interval '%s'", rest[0])
	}
	scaled := c.m.scaled(limit)
	if slices.Contains(prompt, path.Base(rest[1])) {
		scaled = max(scaled, min(limit, promptTime))
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, scaled, killed{"TERM"})
	defer cancel()
	child := *c
	child.ctx = ctx
	status := child.run(rest[1:])
	if ctx.Err() != nil && c.ctx.Err() == nil && !has(fl, "preserve-status") {
		return 124
	}
	return status
}

func xargs(c *call) int {
	fl, rest, ok := c.flags("r0t", "no-run-if-empty null", "nI", "max-args replace", true)
	if !ok {
		return 2
	}
	data, err := c.slurpInput()
	if err != nil {
		return 1
	}
	words := strings.Fields(string(data))
	if has(fl, "0", "null") {
		words = strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 })
	}
	if len(rest) == 0 {
		rest = []string{"echo"}
	}
	if len(words) == 0 && has(fl, "r", "no-run-if-empty") {
		return 0
	}
	size := max(len(words), 1)
	mark := value(fl, "", "I", "replace")
	if n := number(value(fl, "0", "n", "max-args")); n > 0 {
		size = int(n)
	}
	if mark != "" {
		size = 1
	}
	status := 0
	child := *c
	child.in = nil
	for chunk := range slices.Chunk(words, size) {
		args := slices.Concat(rest, chunk)
		if mark != "" {
			args = slices.Clone(rest)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], mark, chunk[0])
			}
		}
		if s := child.run(args); s != 0 {
			status = 123
		}
	}
	return status
}

func reboot(c *call) int {
	if !c.root() {
		return c.fail(1, "Call to Reboot failed: Interactive authentication required.")
	}
	if strings.HasSuffix(c.args[0], "shutdown") && !slices.Contains(c.args, "-r") {
		return c.unknown("shutdown without -r")
	}
	c.m.reboot(c.p)
	return 0
}

// ps shows one field of one process.
func ps(c *call) int {
	fl, _, ok := c.flags("eAfax", "no-headers", "op", "pid format", false)
	if !ok {
		return 2
	}
	p := c.m.process(int(number(value(fl, "", "p", "pid"))))
	if p == nil {
		return 1
	}
	for field := range strings.SplitSeq(value(fl, "pid,comm", "o", "format"), ",") {
		switch strings.TrimSuffix(field, "=") {
		case "pid":
			c.printf("%d ", p.pid)
		case "ppid":
			c.printf("%d ", p.ppid)
		case "comm":
			c.printf("%s ", p.name)
		case "args", "cmd":
			c.printf("%s ", strings.ReplaceAll(strings.TrimRight(p.line, "\x00"), "\x00", " "))
		default:
			return c.unknown("ps -o " + field)
		}
	}
	c.printf("\n")
	return 0
}
