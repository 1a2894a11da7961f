package machine

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/interp"
)

// shellCommands are the machine's own builtins of the shell: they run in the shell's process. last is $? before them.
func shellCommands() map[string]func(c *call, last int) int {
	return map[string]func(c *call, last int) int{
		"__umask":     func(c *call, _ int) int { return umask(c) },
		"__kill":      func(c *call, _ int) int { return kill(c) },
		"__command":   func(c *call, _ int) int { return commandV(c) },
		"__type":      func(c *call, _ int) int { return typeOf(c) },
		"__hash":      func(c *call, _ int) int { return hash(c) },
		"__pwd":       func(c *call, _ int) int { return pwdP(c) },
		"__same_file": func(c *call, _ int) int { return sameFile(c) },
		"__not_found": func(c *call, _ int) int { c.eprintf("sh: 1: %s: not found\n", c.args[1]); return 127 },
		"__set_error": func(c *call, _ int) int {
			c.eprintf("sh: 1: set: Illegal option %s %s\n", c.args[1], c.args[2])
			return 2
		},
		"__status":   func(c *call, _ int) int { return int(number(c.args[1])) },
		"__fd_open":  func(c *call, _ int) int { return fdOpen(c) },
		"__fd_close": fdClose,
		"flock":      func(c *call, _ int) int { c.args[0] = "flock"; return flockHere(c) },
	}
}

// flockHere runs flock in the shell's own process when it works on an open file of the shell, as a command otherwise.
func flockHere(c *call) int {
	f, status := parseFlock(&call{m: c.m, args: c.args, err: discard{}})
	if status == 0 && len(f.rest) == 1 {
		return flock(c)
	}
	return c.m.exec(c)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func umask(c *call) int {
	if len(c.args) == 1 {
		c.printf("%04o\n", c.p.mask())
		return 0
	}
	n, err := strconv.ParseUint(c.args[1], 8, 9)
	if err != nil {
		c.eprintf("sh: 1: umask: Illegal number: %s\n", c.args[1])
		return 2
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.umask = fs.FileMode(n)
	return 0
}

// kill is kill(1) and the builtin of that name.
func kill(c *call) int {
	args, sig := c.args[1:], "TERM"
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word == "s" && len(args) > 0 {
			word, args = args[0], args[1:]
		}
		if word == "-" {
			break
		}
		sig = strings.TrimPrefix(word, "SIG")
	}
	for name, n := range signals {
		if sig == strconv.Itoa(n) {
			sig = name
		}
	}
	if _, ok := signals[sig]; !ok && sig != "0" {
		c.eprintf("sh: 1: kill: invalid signal number or name: %s\n", sig)
		return 2
	}
	status := 0
	for _, arg := range args {
		target := c.m.process(int(number(strings.TrimPrefix(arg, "-"))))
		switch {
		case target == nil:
			c.eprintf("sh: 1: kill: No such process\n")
			status = 1
		case c.p.user != "root" && c.p.user != target.user:
			c.eprintf("sh: 1: kill: Operation not permitted\n")
			status = 1
		case sig != "0":
			target.cancel(killed{sig})
		}
	}
	return status
}

// resolve finds what a name means to the shell, as command -v prints it.
func (c *call) resolve(name string) (string, bool) {
	if state, _ := c.ctx.Value(shellKey{}).(*shellState); state != nil && state.funcs[name] {
		return name, true
	}
	if interp.IsBuiltin(name) && !isBashism(name) {
		return name, true
	}
	file, err := c.m.which(c.p.user, c.env.Get("PATH").String(), c.dir, name)
	return file, err == nil
}

func commandV(c *call) int {
	if c.args[1] != "-v" && c.args[1] != "-V" {
		if c.args[1] == "-p" && len(c.args) > 2 {
			return c.run(c.args[2:])
		}
		return c.unknown("command " + c.args[1])
	}
	status := 0
	for _, name := range c.args[2:] {
		what, ok := c.resolve(name)
		if !ok {
			status = 127
			continue
		}
		c.printf("%s\n", what)
	}
	return status
}

func typeOf(c *call) int {
	status := 0
	for _, name := range c.args[1:] {
		what, ok := c.resolve(name)
		switch {
		case !ok:
			c.printf("%s: not found\n", name)
			status = 127
		case what == name:
			c.printf("%s is a shell builtin\n", name)
		default:
			c.printf("%s is %s\n", name, what)
		}
	}
	return status
}

func hash(c *call) int {
	for _, name := range c.args[1:] {
		if _, ok := c.resolve(name); !ok && name != "-r" {
			c.eprintf("sh: 1: hash: %s: not found\n", name)
			return 127
		}
	}
	return 0
}

func pwdP(c *call) int {
	p, err := c.m.tree.real(c.p.user, c.dir)
	if err != nil {
		return c.fail(1, "%s", reason(err))
	}
	c.printf("%s\n", p)
	return 0
}

func sameFile(c *call) int {
	a, errA := c.m.tree.stat(c.p.user, c.path(c.args[1]), true)
	b, errB := c.m.tree.stat(c.p.user, c.path(c.args[2]), true)
	if errA != nil || errB != nil || a.(info).ino != b.(info).ino {
		return 1
	}
	return 0
}

// fdOpen is a redirection of a file descriptor above 2: its number, the operator and the word.
func fdOpen(c *call) int {
	fd, op, word := int(number(c.args[1])), c.args[2], c.args[3]
	h, err := c.redirect(op, word)
	if err != nil {
		c.eprintf("sh: 1: cannot open %s: %s\n", word, reason(err))
		return 2
	}
	c.p.keep(fd, h)
	return 0
}

func (c *call) redirect(op, word string) (*handle, error) {
	switch op {
	case ">&":
		switch word {
		case "-":
			return nil, nil
		case "1":
			return (&opening{m: c.m, out: c.out}).handle(), nil
		case "2":
			return (&opening{m: c.m, out: c.err}).handle(), nil
		}
		if h := c.p.file(int(number(word))); h != nil {
			return h.share(), nil
		}
		return nil, syscall.EBADF
	case "<&":
		return nil, nil
	case "<":
		c.m.tree.mu.RLock()
		defer c.m.tree.mu.RUnlock()
		n, err := c.m.tree.find(c.p.user, c.path(word), true)
		if err != nil {
			return nil, err
		}
		return (&opening{m: c.m, path: c.path(word), node: n, proc: c.p}).handle(), nil
	}
	if !slices.Contains([]string{">", ">>", "<>", ">|"}, op) {
		return nil, fmt.Errorf("the pretend shell does not know %s here", op)
	}
	return c.m.openFile(c.p, c.path(word), op != ">" && op != ">|", false)
}

// fdClose closes file descriptors and leaves $? as it was.
func fdClose(c *call, last int) int {
	for _, arg := range c.args[1:] {
		c.p.keep(int(number(arg)), nil)
	}
	return last
}
