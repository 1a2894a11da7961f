package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/expand"
)

// A call is one invocation of a pretend command.
type call struct {
	ctx  context.Context //nolint:containedctx // a call lasts as long as its process, whose context this is
	m    *Machine
	p    *proc
	args []string // args[0] is the command's name
	env  expand.Environ
	dir  string

	in       io.Reader
	out, err io.Writer
}

// A command is a pretend program; it returns its exit status.
type command func(*call) int

// fail says what went wrong, in the form "command: what", and passes the status on.
func (c *call) fail(status int, format string, args ...any) int {
	c.eprintf("%s: %s\n", path.Base(c.args[0]), fmt.Sprintf(format, args...))
	return status
}

// What a command prints it prints to whoever still reads; sshWriter ends it where nobody does.
func (c *call) write(b []byte)                     { _, _ = c.out.Write(b) }
func (c *call) printf(format string, args ...any)  { _, _ = fmt.Fprintf(c.out, format, args...) }
func (c *call) eprintf(format string, args ...any) { _, _ = fmt.Fprintf(c.err, format, args...) }

// set changes what a file is as far as the user may; what the real command would complain of is let pass.
func (c *call) set(name string, f func(*node)) { _, _ = c.m.tree.set(c.p.user, name, f) }

// unknown is the answer to what the real command may know and the pretend one does not.
func (c *call) unknown(what string) int {
	return c.fail(2, "the pretend command does not know %q", what)
}

// getenv is an exported variable.
func (c *call) getenv(name string) string {
	if v := c.env.Get(name); v.Exported {
		return v.String()
	}
	return ""
}

// path makes a path of the command line absolute.
func (c *call) path(name string) string {
	if path.IsAbs(name) {
		return name // not cleaned: "a/../b" is for the tree to resolve
	}
	return path.Join(c.dir, name)
}

// root says whether the command runs as root, and complains if not.
func (c *call) root() bool { return c.p.user == "root" }

// sleep waits for pretend work to be done; false means that the process was ended meanwhile.
func (c *call) sleep(d time.Duration) bool {
	if d <= 0 {
		return c.ctx.Err() == nil
	}
	return wait(c.ctx, d)
}

// run runs another command as a child, with the same input and output.
func (c *call) run(args []string) int {
	child := *c
	child.args = args
	return c.m.exec(&child)
}

// open opens the files named on a command line for reading; none, or "-", is the standard input.
func (c *call) inputs(names []string, each func(name string, data []byte) int) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	status := 0
	for _, name := range names {
		data, err := c.slurp(name)
		if err != nil {
			status = c.fail(1, "%s: %s", name, reason(err))
			continue
		}
		if s := each(name, data); s != 0 {
			status = s
		}
	}
	return status
}

// slurp reads a whole file, or the standard input for "-".
func (c *call) slurp(name string) ([]byte, error) {
	if name == "-" || name == "/dev/stdin" {
		if c.in == nil {
			return nil, nil
		}
		return io.ReadAll(c.in)
	}
	return c.m.tree.read(c.p.user, c.path(name))
}

// A flag is one flag of a command line, as it was given.
type flag struct{ name, value string }

// flags splits a command line into flags and the rest, in the manner of getopt: short are the letters without a value,
// shortValue those with one, long and longValue the words. first ends the flags at the first word that is none.
func (c *call) flags(short, long, shortValue, longValue string, first bool) (fl []flag, rest []string, ok bool) {
	longs, longValues := strings.Fields(long), strings.Fields(longValue)
	args := c.args[1:]
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return fl, append(rest, args...), true
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			switch {
			case slices.Contains(longValues, name):
				if !given {
					if len(args) == 0 {
						c.fail(2, "option '--%s' requires an argument", name)
						return nil, nil, false
					}
					value, args = args[0], args[1:]
				}
			case !slices.Contains(longs, name) || given && value == "":
				c.unknown(arg)
				return nil, nil, false
			}
			fl = append(fl, flag{name, value})
		case len(arg) > 1 && arg[0] == '-':
			var more []flag
			more, args, ok = c.letters(arg[1:], args, short, shortValue)
			if !ok {
				return nil, nil, false
			}
			fl = append(fl, more...)
		case first:
			return fl, append([]string{arg}, args...), true
		default:
			rest = append(rest, arg)
		}
	}
	return fl, rest, true
}

func (c *call) letters(word string, args []string, short, shortValue string) ([]flag, []string, bool) {
	var fl []flag
	for i := 0; i < len(word); i++ {
		letter := string(word[i])
		switch {
		case strings.Contains(shortValue, letter):
			value := word[i+1:]
			if value == "" {
				if len(args) == 0 {
					c.fail(2, "option requires an argument -- '%s'", letter)
					return nil, nil, false
				}
				value, args = args[0], args[1:]
			}
			return append(fl, flag{letter, value}), args, true
		case strings.Contains(short, letter):
			fl = append(fl, flag{letter, ""})
		default:
			c.unknown("-" + letter)
			return nil, nil, false
		}
	}
	return fl, args, true
}

// has says whether one of the flags was given.
func has(fl []flag, names ...string) bool {
	return slices.ContainsFunc(fl, func(f flag) bool { return slices.Contains(names, f.name) })
}

// value is what the last of these flags was given, or the other value.
func value(fl []flag, or string, names ...string) string {
	for _, f := range fl {
		if slices.Contains(names, f.name) {
			or = f.value
		}
	}
	return or
}

// number reads a decimal number; what is none is 0.
func number(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n
}

// seconds reads a duration as sleep(1) takes it: 1, 0.5, 2s, 3m.
func seconds(s string) time.Duration {
	unit := time.Second
	for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, u
			break
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return -1
	}
	return time.Duration(f * float64(unit))
}

// reason is what strerror(3) says about an error of the tree.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	words := map[syscall.Errno]string{
		syscall.ENOENT: "No such file or directory", syscall.EACCES: "Permission denied", syscall.EEXIST: "File exists",
		syscall.ENOTDIR: "Not a directory", syscall.EISDIR: "Is a directory", syscall.ENOTEMPTY: "Directory not empty",
		syscall.EPERM: "Operation not permitted", syscall.ELOOP: "Too many levels of symbolic links", syscall.EBUSY: "Device or resource busy",
		syscall.EBADF: "Bad file descriptor",
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok && words[errno] != "" {
		return words[errno]
	}
	return err.Error()
}
