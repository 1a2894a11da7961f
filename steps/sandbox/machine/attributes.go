package machine

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// newMode is the permission bits that a mode of chmod makes of the old ones: octal, or symbolic as u+x,go-w,a=r.
func newMode(spec string, old fs.FileMode) (fs.FileMode, error) {
	if n, err := strconv.ParseUint(spec, 8, 16); err == nil {
		return octal(fs.FileMode(n)), nil
	}
	mode := old.Perm()
	for part := range strings.SplitSeq(spec, ",") {
		at := strings.IndexAny(part, "+-=")
		if at < 0 {
			return 0, syscall.EINVAL
		}
		who, bits := part[:at], fs.FileMode(0)
		for _, ch := range part[at+1:] {
			bit, ok := map[rune]fs.FileMode{'r': 4, 'w': 2, 'x': 1, 'X': 0}[ch]
			if !ok {
				return 0, syscall.EINVAL
			}
			bits |= bit
		}
		if who == "" || strings.Contains(who, "a") {
			who = "ugo"
		}
		for _, w := range who {
			shift, ok := map[rune]uint{'u': 6, 'g': 3, 'o': 0}[w]
			if !ok {
				return 0, syscall.EINVAL
			}
			switch part[at] {
			case '+':
				mode |= bits << shift
			case '-':
				mode &^= bits << shift
			case '=':
				mode = mode&^(7<<shift) | bits<<shift
			}
		}
	}
	return mode, nil
}

// octal turns the bits of chmod into those of fs.FileMode.
func octal(n fs.FileMode) fs.FileMode {
	mode := n & 0o777
	for bit, m := range map[fs.FileMode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= m
		}
	}
	return mode
}

// each runs f on the files named, and with deep on what is in them.
func (c *call) each(names []string, deep bool, f func(name string) error) int {
	status := 0
	for _, name := range names {
		if err := c.walkFiles(c.path(name), deep, f); err != nil {
			status = c.fail(1, "cannot access '%s': %s", name, reason(err))
		}
	}
	return status
}

func (c *call) walkFiles(name string, deep bool, f func(string) error) error {
	i, err := c.m.tree.stat(c.p.user, name, true)
	if err != nil {
		return err
	}
	if err := f(name); err != nil || !deep || !i.IsDir() {
		return err
	}
	entries, err := c.m.tree.list(c.p.user, name)
	for _, e := range entries {
		if err == nil {
			err = c.walkFiles(path.Join(name, e.Name()), deep, f)
		}
	}
	return err
}

func chmod(c *call) int {
	if len(c.args) > 1 && len(c.args[1]) > 1 && strings.Contains("rwx", c.args[1][1:2]) && c.args[1][0] == '-' {
		c.args = slices.Insert(slices.Clone(c.args), 1, "--") // chmod -x FILE
	}
	fl, rest, ok := c.flags("Rfv", "recursive", "", "", false)
	if !ok || len(rest) < 2 {
		return c.fail(1, "missing operand")
	}
	if _, err := newMode(rest[0], 0); err != nil {
		return c.fail(1, "invalid mode: '%s'", rest[0])
	}
	return c.each(rest[1:], has(fl, "R", "recursive"), func(name string) error {
		differs, err := c.m.tree.set(c.p.user, name, func(n *node) {
			mode, _ := newMode(rest[0], n.mode)
			n.mode = n.mode.Type() | mode
		})
		if differs {
			c.m.changedFile(c.p, "chmod "+rest[0], name)
		}
		return err
	})
}

func chown(c *call) int {
	fl, rest, ok := c.flags("Rhv", "recursive no-dereference", "", "", false)
	if !ok || len(rest) < 2 {
		return c.fail(1, "missing operand")
	}
	owner, group, both := strings.Cut(rest[0], ":")
	if path.Base(c.args[0]) == "chgrp" {
		owner, group, both = "", rest[0], true
	}
	if !c.root() {
		return c.fail(1, "changing ownership of '%s': Operation not permitted", rest[1])
	}
	return c.each(rest[1:], has(fl, "R", "recursive"), func(name string) error {
		differs, err := c.m.tree.set(c.p.user, name, func(n *node) {
			if owner != "" {
				n.owner = named(owner)
			}
			if both && group != "" {
				n.group = named(group)
			}
		})
		if differs {
			c.m.changedFile(c.p, "chown "+rest[0], name)
		}
		return err
	})
}

// named turns the one numeric user that everybody uses into its name.
func named(user string) string {
	if user == "0" {
		return "root"
	}
	return user
}

func touch(c *call) int {
	fl, names, ok := c.flags("acm", "no-create", "drt", "date reference", false)
	if !ok {
		return 2
	}
	when := time.Now()
	if d := value(fl, "", "d", "date"); d != "" {
		t, ok := parseDate(d)
		if !ok {
			return c.fail(1, "invalid date format '%s'", d)
		}
		when = t
	}
	if r := value(fl, "", "r", "reference"); r != "" {
		i, err := c.m.tree.stat(c.p.user, c.path(r), true)
		if err != nil {
			return c.fail(1, "failed to get attributes of '%s': %s", r, reason(err))
		}
		when = i.ModTime()
	}
	status := 0
	for _, name := range names {
		_, err := c.m.tree.stat(c.p.user, c.path(name), true)
		if err != nil && has(fl, "c", "no-create") {
			continue
		}
		if err != nil {
			h, openErr := c.m.openFile(c.p, c.path(name), true, false)
			if openErr != nil {
				status = c.fail(1, "cannot touch '%s': %s", name, reason(openErr))
				continue
			}
			h.Close()
		}
		c.set(c.path(name), func(n *node) { n.mtime = when })
	}
	return status
}

func truncate(c *call) int {
	fl, names, ok := c.flags("c", "no-create", "s", "size", false)
	if !ok {
		return 2
	}
	size := number(value(fl, "0", "s", "size"))
	for _, name := range names {
		data, _ := c.m.tree.read(c.p.user, c.path(name))
		data = slices.Grow(data, int(size))[:min(int64(len(data)), size)]
		for int64(len(data)) < size {
			data = append(data, 0)
		}
		differs, err := c.m.tree.write(c.p.user, c.path(name), data, 0o666&^c.p.mask())
		if err != nil {
			return c.fail(1, "cannot open '%s' for writing: %s", name, reason(err))
		}
		if differs {
			c.m.changedFile(c.p, "wrote", c.path(name))
		}
	}
	return 0
}

func mktemp(c *call) int {
	fl, rest, ok := c.flags("dqut", "directory quiet", "p", "tmpdir suffix", false)
	if !ok {
		return 2
	}
	template, dir := "tmp.XXXXXXXXXX", ""
	if len(rest) > 0 {
		template = rest[0]
	} else {
		dir = "/tmp"
		if t := c.getenv("TMPDIR"); t != "" {
			dir = t
		}
	}
	dir = value(fl, dir, "p", "tmpdir")
	stem := strings.TrimRight(template, "X")
	count := len(template) - len(stem)
	if count < 3 {
		return c.fail(1, "too few X's in template '%s'", template)
	}
	name := path.Join(dir, stem) + strings.ReplaceAll(newUUID(), "-", "")[:min(count, 32)]
	if has(fl, "d", "directory") {
		if err := c.m.tree.mkdir(c.p.user, c.path(name), 0o700); err != nil {
			return c.fail(1, "failed to create directory via template '%s': %s", template, reason(err))
		}
		c.m.changedFile(c.p, "made", c.path(name))
	} else {
		h, err := c.m.openFile(c.p, c.path(name), false, false)
		if err != nil {
			return c.fail(1, "failed to create file via template '%s': %s", template, reason(err))
		}
		h.Close()
		c.set(c.path(name), func(n *node) { n.mode = 0o600 })
	}
	c.printf("%s\n", name)
	return 0
}

func readlink(c *call) int {
	fl, names, ok := c.flags("fenmqsz", "canonicalize canonicalize-existing no-newline", "", "", false)
	if !ok {
		return 2
	}
	status := 0
	canonical := has(fl, "f", "e", "m", "canonicalize", "canonicalize-existing") || path.Base(c.args[0]) == "realpath"
	for _, name := range names {
		var to string
		if canonical {
			real, err := c.m.tree.real(c.p.user, c.path(name))
			if err == nil && has(fl, "e", "canonicalize-existing") {
				_, err = c.m.tree.stat(c.p.user, real, true)
			}
			if err != nil {
				status = 1
				continue
			}
			to = real
		} else {
			i, err := c.m.tree.stat(c.p.user, c.path(name), false)
			if err != nil || i.(info).target == "" {
				status = 1
				continue
			}
			to = i.(info).target
		}
		c.printf("%s", to)
		if !has(fl, "n", "no-newline") {
			c.printf("\n")
		}
	}
	return status
}
