package machine

import (
	"errors"
	"io/fs"
	"path"
	"syscall"
)

// The commands of this file make, move and remove files, as coreutils 9.1 does.

func fileCommands() map[string]command {
	return map[string]command{
		"mkdir": mkdir, "rmdir": rmdir, "rm": rm, "mv": mv, "cp": cp, "ln": ln, "chmod": chmod, "chown": chown,
		"chgrp": chown, "touch": touch, "mktemp": mktemp, "readlink": readlink, "realpath": readlink, "sync": noop,
		"install": install, "truncate": truncate,
	}
}

func noop(c *call) int { return 0 }

func mkdir(c *call) int {
	fl, dirs, ok := c.flags("pv", "parents verbose", "m", "mode", false)
	if !ok {
		return 2
	}
	perm := 0o777 &^ c.p.mask()
	if m := value(fl, "", "m", "mode"); m != "" {
		n, err := newMode(m, 0)
		if err != nil {
			return c.fail(1, "invalid mode: '%s'", m)
		}
		perm = n
	}
	status := 0
	for _, d := range dirs {
		made, err := changed(true), error(nil)
		if has(fl, "p", "parents") {
			made, err = c.m.tree.mkdirAll(c.p.user, c.path(d), 0o777&^c.p.mask())
			if made {
				c.set(c.path(d), func(n *node) { n.mode = fs.ModeDir | perm })
			}
		} else {
			err = c.m.tree.mkdir(c.p.user, c.path(d), perm)
		}
		if err != nil {
			status = c.fail(1, "cannot create directory '%s': %s", d, reason(err))
		} else if made {
			c.m.changedFile(c.p, "made", c.path(d))
		}
	}
	return status
}

func rmdir(c *call) int {
	_, dirs, ok := c.flags("", "ignore-fail-on-non-empty", "", "", false)
	if !ok {
		return 2
	}
	status := 0
	for _, d := range dirs {
		i, err := c.m.tree.stat(c.p.user, c.path(d), false)
		if err == nil && !i.IsDir() {
			err = syscall.ENOTDIR
		}
		if err == nil {
			err = c.m.tree.remove(c.p.user, c.path(d), false)
		}
		if err != nil {
			status = c.fail(1, "failed to remove '%s': %s", d, reason(err))
			continue
		}
		c.m.changedFile(c.p, "removed", c.path(d))
	}
	return status
}

func rm(c *call) int {
	fl, names, ok := c.flags("frRvd", "force recursive verbose one-file-system preserve-root", "", "", false)
	if !ok {
		return 2
	}
	force, all := has(fl, "f", "force"), has(fl, "r", "R", "recursive")
	if len(names) == 0 && !force {
		return c.fail(1, "missing operand")
	}
	status := 0
	for _, name := range names {
		i, err := c.m.tree.stat(c.p.user, c.path(name), false)
		if err != nil && force && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)) {
			continue
		}
		if err == nil && i.IsDir() && !all {
			err = syscall.EISDIR
		}
		if err == nil {
			err = c.m.tree.remove(c.p.user, c.path(name), all)
		}
		if err != nil {
			status = c.fail(1, "cannot remove '%s': %s", name, reason(err))
			continue
		}
		c.m.changedFile(c.p, "removed", c.path(name))
	}
	return status
}

// destination is where a source goes: into the directory to, or to that name.
func (c *call) destination(source, to string, asFile bool) string {
	i, err := c.m.tree.stat(c.p.user, c.path(to), true)
	if err == nil && i.IsDir() && !asFile {
		return path.Join(c.path(to), path.Base(source))
	}
	return c.path(to)
}

// sources splits operands into sources and the target.
func (c *call) sources(fl []flag, rest []string) (from []string, to string, status int) {
	if t := value(fl, "", "t", "target-directory"); t != "" {
		return rest, t, 0
	}
	if len(rest) < 2 {
		return nil, "", c.fail(1, "missing file operand")
	}
	from, to = rest[:len(rest)-1], rest[len(rest)-1]
	if len(from) > 1 {
		if i, err := c.m.tree.stat(c.p.user, c.path(to), true); err != nil || !i.IsDir() {
			return nil, "", c.fail(1, "target '%s': Not a directory", to)
		}
	}
	return from, to, 0
}

func mv(c *call) int {
	fl, rest, ok := c.flags("fnvTu", "force no-clobber verbose no-target-directory", "t", "target-directory", false)
	if !ok {
		return 2
	}
	from, to, status := c.sources(fl, rest)
	for _, name := range from {
		dest := c.destination(name, to, has(fl, "T", "no-target-directory"))
		if has(fl, "n", "no-clobber") {
			if _, err := c.m.tree.stat(c.p.user, dest, false); err == nil {
				continue
			}
		}
		if err := c.m.tree.rename(c.p.user, c.path(name), dest); err != nil {
			status = c.cannot("move", name, dest, err)
			continue
		}
		c.m.changedFile(c.p, "moved "+c.path(name)+" to", dest)
		c.m.noticeManifests(dest, c.path(name))
	}
	return status
}

func cp(c *call) int {
	fl, rest, ok := c.flags("prRafnvTdL", "preserve recursive archive force no-clobber no-target-directory dereference", "t", "target-directory preserve reflink", false)
	if !ok {
		return 2
	}
	from, to, status := c.sources(fl, rest)
	keep := has(fl, "p", "a", "preserve", "archive")
	for _, name := range from {
		dest := c.destination(name, to, has(fl, "T", "no-target-directory"))
		err := c.copyTree(c.path(name), dest, keep, has(fl, "r", "R", "a", "recursive", "archive"), has(fl, "n", "no-clobber"))
		if errors.Is(err, errOmit) {
			status = c.fail(1, "-r not specified; omitting directory '%s'", name)
		} else if err != nil {
			status = c.cannot("copy", name, dest, err)
		}
	}
	return status
}

// cannot says why a file was not moved or copied: that there is none, or what the way is barred by.
func (c *call) cannot(do, name, dest string, err error) int {
	if _, missing := c.m.tree.stat(c.p.user, c.path(name), false); missing != nil {
		return c.fail(1, "cannot stat '%s': %s", name, reason(missing))
	}
	return c.fail(1, "cannot %s '%s' to '%s': %s", do, name, dest, reason(err))
}

var errOmit = errors.New("a directory without -r")

func (c *call) copyTree(from, to string, keep, deep, noClobber bool) error {
	st, err := c.m.tree.stat(c.p.user, from, true)
	if err != nil {
		return err
	}
	i := st.(info)
	if i.IsDir() {
		if !deep {
			return errOmit
		}
		if _, err := c.m.tree.mkdirAll(c.p.user, to, i.mode.Perm()); err != nil {
			return err
		}
		entries, err := c.m.tree.list(c.p.user, from)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := c.copyTree(path.Join(from, e.Name()), path.Join(to, e.Name()), keep, deep, noClobber); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := c.m.tree.stat(c.p.user, to, true); err == nil && noClobber {
		return nil
	}
	data, err := c.m.tree.read(c.p.user, from)
	if err != nil {
		return err
	}
	perm := i.mode.Perm() &^ c.p.mask()
	differs, err := c.m.tree.write(c.p.user, to, data, perm)
	if err != nil {
		return err
	}
	if keep {
		c.set(to, func(n *node) { n.mode, n.owner, n.group, n.mtime = i.mode, i.owner, i.group, i.mtime })
	}
	if differs {
		c.m.changedFile(c.p, "wrote", to)
		c.m.noticeManifests(to)
	}
	return nil
}

func install(c *call) int {
	fl, rest, ok := c.flags("dDv", "directory", "mogt", "mode owner group target-directory", false)
	if !ok {
		return 2
	}
	mode, err := newMode(value(fl, "755", "m", "mode"), 0)
	if err != nil {
		return c.fail(1, "invalid mode")
	}
	own := func(name string) {
		c.set(name, func(n *node) {
			n.mode = n.mode.Type() | mode
			n.owner, n.group = value(fl, n.owner, "o", "owner"), value(fl, n.group, "g", "group")
		})
	}
	if has(fl, "d", "directory") {
		for _, d := range rest {
			made, err := c.m.tree.mkdirAll(c.p.user, c.path(d), 0o755)
			if err != nil {
				return c.fail(1, "cannot create directory '%s': %s", d, reason(err))
			}
			own(c.path(d))
			if made {
				c.m.changedFile(c.p, "made", c.path(d))
			}
		}
		return 0
	}
	from, to, status := c.sources(fl, rest)
	for _, name := range from {
		dest := c.destination(name, to, false)
		data, err := c.slurp(name)
		if err == nil {
			var differs changed
			differs, err = c.m.tree.write(c.p.user, dest, data, mode)
			if differs {
				c.m.changedFile(c.p, "wrote", dest)
			}
		}
		if err != nil {
			status = c.fail(1, "cannot install '%s' to '%s': %s", name, dest, reason(err))
			continue
		}
		own(dest)
	}
	return status
}

func ln(c *call) int {
	fl, rest, ok := c.flags("sfnTv", "symbolic force no-dereference no-target-directory", "", "", false)
	if !ok {
		return 2
	}
	if len(rest) != 2 {
		return c.fail(1, "missing file operand")
	}
	dest := c.destination(rest[0], rest[1], has(fl, "n", "T", "no-dereference", "no-target-directory"))
	if has(fl, "f", "force") {
		_ = c.m.tree.remove(c.p.user, dest, false) // missing is fine, and the rest shows below
	}
	var err error
	if has(fl, "s", "symbolic") {
		err = c.m.tree.symlink(c.p.user, rest[0], dest)
	} else {
		err = c.m.tree.link(c.p.user, c.path(rest[0]), dest)
	}
	if err != nil {
		return c.fail(1, "failed to create link '%s': %s", rest[1], reason(err))
	}
	c.m.changedFile(c.p, "linked", dest)
	return 0
}
