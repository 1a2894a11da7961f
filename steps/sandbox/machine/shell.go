package machine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// defaultPath is where commands are looked for, as Debian's sudo sets it (secure_path).
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A shellState is what one run of the shell knows beyond what the interpreter does.
type shellState struct {
	funcs     map[string]bool // functions that the script defines
	noclobber atomic.Bool     // set -C
}

type shellKey struct{}

// shell runs a script in a new shell, in the process of the call. options are those of set, such as -eu.
func (c *call) shell(text, name string, options, params []string) int {
	program, err := c.m.cfg.Common.script(text, name)
	if err != nil {
		c.eprintf("sh: %v\n", err)
		return 2
	}
	if slices.Contains(options, "-n") {
		return 0 // it was only to be read
	}
	state := &shellState{funcs: program.funcs}
	in, done, err := c.stdin()
	if err != nil {
		return c.fail(126, "opening the standard input: %v", err)
	}
	defer done()
	env := append(exported(c.env), pidVar+"="+strconv.Itoa(c.p.pid), ppidVar+"="+strconv.Itoa(c.p.ppid))
	opts := []interp.RunnerOption{
		interp.Env(expand.ListEnviron(env...)), interp.Dir("/"), interp.StdIO(in, c.out, c.err),
		interp.Params(slices.Concat(options, []string{"--"}, params)...),
		interp.CallHandler(c.m.onCall),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return c.m.onExec }),
		interp.OpenHandler(c.m.onOpen), interp.StatHandler(c.m.onStat), interp.AccessHandler(c.m.onAccess),
		interp.ReadDirHandler2(c.m.onReadDir),
	}
	r, err := interp.New(opts...)
	if err != nil {
		return c.fail(126, "starting the shell: %v", err)
	}
	r.Dir = c.dir
	return shellStatus(c.ctx, r.Run(context.WithValue(c.ctx, shellKey{}, state), program.file))
}

func shellStatus(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	if sig := killedBy(ctx); sig != "" {
		return 128 + signals[sig]
	}
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		return int(status)
	}
	return 255
}

// stdin is the call's input as the interpreter wants it: an open file of the real machine, which is always a pipe.
func (c *call) stdin() (*os.File, func(), error) {
	switch in := c.in.(type) {
	case nil:
		return nil, func() {}, nil
	case *os.File:
		return in, func() {}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	go func() {
		_, _ = io.Copy(w, c.in) // an error means that one of the two ends is gone, and so is the need to copy
		_ = w.Close()
	}()
	return r, func() { _ = r.Close() }, nil
}

// exported lists the exported variables of an environment.
func exported(env expand.Environ) []string {
	var list []string
	env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.Kind == expand.String && name != pidVar && name != ppidVar {
			list = append(list, name+"="+v.Str)
		}
		return true
	})
	return list
}

// exec finds a command and runs it in a process of its own.
func (m *Machine) exec(c *call) int {
	ctx, p := m.spawn(c.ctx, path.Base(c.args[0]), cmdline(c.args), nil)
	defer m.end(p)
	child := *c
	child.ctx, child.p = ctx, p
	return m.execIn(&child)
}

// execIn finds a command and runs it in the process of the call, as execve(2) does.
func (m *Machine) execIn(c *call) int {
	name := c.args[0]
	file, err := m.which(c.p.user, c.env.Get("PATH").String(), c.dir, name)
	switch {
	case errors.Is(err, syscall.EACCES):
		c.eprintf("sh: 1: %s: Permission denied\n", name)
		return 126
	case err != nil:
		c.eprintf("sh: 1: %s: not found\n", name)
		return 127
	}
	data, err := m.tree.read(c.p.user, file)
	if err != nil {
		c.eprintf("sh: 1: %s: %s\n", name, reason(err))
		return 126
	}
	program, isProgram := strings.CutPrefix(string(data), programMark)
	var status int
	if run := m.commands[program]; isProgram && run != nil {
		status = run(c)
	} else {
		status = c.shell(string(data), file, nil, c.args[1:])
	}
	if sig := killedBy(c.ctx); sig != "" {
		return 128 + signals[sig]
	}
	return status
}

// which finds the file of a command.
func (m *Machine) which(user, searchPath, dir, name string) (string, error) {
	if name == "" {
		return "", syscall.ENOENT
	}
	candidates := []string{name}
	switch {
	case path.IsAbs(name):
	case strings.Contains(name, "/"):
		candidates = []string{path.Join(dir, name)}
	default:
		candidates = nil
		for d := range strings.SplitSeq(searchPath, ":") {
			candidates = append(candidates, path.Join(d, name))
		}
	}
	err := error(syscall.ENOENT)
	for _, file := range candidates {
		i, statErr := m.tree.stat(user, file, true)
		switch {
		case statErr != nil:
			continue
		case i.IsDir() || m.tree.access(user, file, 1) != nil:
			err = syscall.EACCES
			continue
		}
		return file, nil
	}
	return "", err
}

// The handlers below are how the interpreter reaches the machine.

func (m *Machine) onExec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	c := &call{ctx: ctx, m: m, p: procOf(ctx), args: args, env: hc.Env, dir: hc.Dir, in: hc.Stdin, out: hc.Stdout, err: hc.Stderr}
	var status int
	if own := m.builtins[args[0]]; own != nil {
		status = own(c, hc.LastExitStatus)
	} else {
		status = m.exec(c)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if status != 0 {
		return interp.ExitStatus(uint8(status))
	}
	return nil
}

func absolute(dir, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(dir, name)
}

func (m *Machine) onStat(ctx context.Context, name string, follow bool) (fs.FileInfo, error) {
	return m.tree.stat(procOf(ctx).user, absolute(interp.HandlerCtx(ctx).Dir, name), follow)
}

func (m *Machine) onAccess(ctx context.Context, name string, mode interp.AccessMode) error {
	return m.tree.access(procOf(ctx).user, absolute(interp.HandlerCtx(ctx).Dir, name), fs.FileMode(mode))
}

func (m *Machine) onReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	return m.tree.list(procOf(ctx).user, absolute(interp.HandlerCtx(ctx).Dir, name))
}

func (m *Machine) onOpen(ctx context.Context, name string, mode int, perm fs.FileMode) (io.ReadWriteCloser, error) {
	p := procOf(ctx)
	if fd, ok := strings.CutPrefix(name, "/dev/fd/"); ok && len(fd) > 0 && fd > "2" {
		if h := p.file(int(number(fd))); h != nil {
			return h.share(), nil
		}
		return nil, pathError("open", name, syscall.EBADF)
	}
	name, over := strings.CutPrefix(name, writtenOver)
	name = absolute(interp.HandlerCtx(ctx).Dir, name)
	if mode&(os.O_WRONLY|os.O_RDWR) == 0 {
		data, err := m.tree.read(p.user, name)
		if err != nil {
			return nil, err
		}
		return contents(data)
	}
	state, _ := ctx.Value(shellKey{}).(*shellState)
	exclusive := state != nil && state.noclobber.Load() && mode&os.O_APPEND == 0
	h, err := m.openFile(p, name, mode&os.O_APPEND != 0, exclusive)
	if err == nil {
		h.over = over
	}
	return h, err
}

// pipeRoom is what a pipe surely takes without a reader (POSIX guarantees less, Linux and macOS give at least this).
const pipeRoom = 4096

// contents is a file opened for reading: a pipe of the real machine that holds the data, since the interpreter reads
// from nothing else.
func contents(data []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if len(data) <= pipeRoom {
		_, _ = w.Write(data)
		_ = w.Close()
		return r, nil
	}
	go func() {
		_, _ = w.Write(data) // fails when the reader is gone
		_ = w.Close()
	}()
	return r, nil
}

// openFile opens a file for writing; without appending it is emptied.
func (m *Machine) openFile(p *proc, name string, appending, exclusive bool) (*handle, error) {
	before, _ := m.tree.read("root", name)
	mode := os.O_CREATE | os.O_WRONLY
	if !appending {
		mode |= os.O_TRUNC
	}
	if exclusive {
		if i, err := m.tree.stat(p.user, name, true); err == nil && i.Mode().IsRegular() {
			return nil, pathError("open", name, syscall.EEXIST)
		} else if err != nil {
			mode |= os.O_EXCL
		}
	}
	n, made, err := m.tree.open(p.user, name, mode, 0o666&^p.mask())
	if err != nil {
		return nil, err
	}
	if len(before) > 0 {
		made = false
	}
	o := &opening{m: m, path: name, node: n, proc: p, before: string(before), writes: true, made: made}
	return o.handle(), nil
}

// readable makes a read from a pipe end when the context does.
func readable(ctx context.Context, r io.Reader) (stop func() bool) {
	f, ok := r.(*os.File)
	if !ok {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
}

// bashisms are commands of bash that dash, Debian's sh, does not have.
var bashisms = []string{"[[", "source", "declare", "typeset", "shopt", "mapfile", "readarray", "pushd", "popd", "let", "builtin"}

// parse reads a script the way dash would: what only bash understands is an error.
func parse(text, name string) (*syntax.File, error) {
	if _, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(text), name); err != nil {
		return nil, err
	}
	// The interpreter knows export and local only as bash's parser yields them.
	return syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), name)
}

func isBashism(name string) bool { return slices.Contains(bashisms, name) }
