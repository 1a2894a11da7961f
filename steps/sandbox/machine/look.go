package machine

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// The commands of this file look at files.

func lookCommands() map[string]command {
	return map[string]command{"ls": ls, "stat": stat, "find": find, "df": df, "du": du, "fuser": fuser}
}

// perms are permission bits as ls prints them.
func perms(mode fs.FileMode) string {
	kind := "-"
	switch {
	case mode.IsDir():
		kind = "d"
	case mode&fs.ModeSymlink != 0:
		kind = "l"
	case mode&fs.ModeCharDevice != 0:
		kind = "c"
	}
	return kind + mode.Perm().String()[1:]
}

// bits are permission bits as stat %a and find -perm know them.
func bits(mode fs.FileMode) uint64 {
	n := uint64(mode.Perm())
	for m, bit := range map[fs.FileMode]uint64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&m != 0 {
			n |= bit
		}
	}
	return n
}

func fileType(mode fs.FileMode, size int64) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeCharDevice != 0:
		return "character special file"
	case size == 0:
		return "regular empty file"
	}
	return "regular file"
}

func userID(name string) string {
	switch name {
	case "root":
		return "0"
	}
	if _, err := strconv.Atoi(name); err == nil {
		return name
	}
	return "1000"
}

func stat(c *call) int {
	fl, names, ok := c.flags("Ltf", "dereference terse file-system", "c", "format printf", false)
	if !ok {
		return 2
	}
	if has(fl, "f", "file-system") {
		return c.fileSystems(value(fl, "", "c", "format"), names)
	}
	format, end := value(fl, "", "c", "format"), "\n"
	if format == "" {
		if format, end = value(fl, "", "printf"), ""; format == "" {
			return c.unknown("stat without -c")
		}
		format = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(format)
	}
	status := 0
	for _, name := range names {
		st, err := c.m.tree.stat(c.p.user, c.path(name), has(fl, "L", "dereference"))
		if err != nil {
			status = c.fail(1, "cannot statx '%s': %s", name, reason(err))
			continue
		}
		text, err := statText(format, name, st.(info))
		if err != nil {
			return c.unknown(err.Error())
		}
		c.printf("%s%s", text, end)
	}
	return status
}

func statText(format, name string, i info) (string, error) {
	var b strings.Builder
	for at := 0; at < len(format); at++ {
		if format[at] != '%' || at+1 == len(format) {
			b.WriteByte(format[at])
			continue
		}
		at++
		switch format[at] {
		case 'n':
			b.WriteString(name)
		case 's':
			fmt.Fprint(&b, i.size)
		case 'a':
			b.WriteString(strconv.FormatUint(bits(i.mode), 8))
		case 'A':
			b.WriteString(perms(i.mode))
		case 'U':
			b.WriteString(i.owner)
		case 'G':
			b.WriteString(i.group)
		case 'u':
			b.WriteString(userID(i.owner))
		case 'g':
			b.WriteString(userID(i.group))
		case 'Y', 'X', 'Z':
			fmt.Fprint(&b, i.mtime.Unix())
		case 'y', 'x', 'z':
			b.WriteString(i.mtime.UTC().Format("2006-01-02 15:04:05.000000000 +0000"))
		case 'F':
			b.WriteString(fileType(i.mode, i.size))
		case 'i':
			fmt.Fprint(&b, i.ino)
		case 'd':
			b.WriteString("2049") // 08:01, as in /proc/locks
		case 'h':
			b.WriteString("1")
		case 'N':
			b.WriteString("'" + name + "'")
		case '%':
			b.WriteByte('%')
		default:
			return "", fmt.Errorf("stat -c %%%c", format[at])
		}
	}
	return b.String(), nil
}

// A listing is one run of ls.
type listing struct {
	*call
	flags []flag
}

type listed struct {
	name string
	info info
}

func ls(c *call) int {
	fl, names, ok := c.flags("1ladrtAhni", "all almost-all directory", "", "full-time", false)
	if !ok {
		return 2
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	l := &listing{c, fl}
	var files []listed
	var dirs []string
	status := 0
	for _, name := range names {
		st, err := c.m.tree.stat(c.p.user, c.path(name), !has(fl, "l", "d"))
		switch {
		case err != nil:
			status = c.fail(2, "cannot access '%s': %s", name, reason(err))
		case st.IsDir() && !has(fl, "d", "directory"):
			dirs = append(dirs, name)
		default:
			files = append(files, listed{name, st.(info)})
		}
	}
	l.show(files)
	for n, d := range dirs {
		if len(names) > 1 {
			if n > 0 || len(files) > 0 {
				c.printf("\n")
			}
			c.printf("%s:\n", d)
		}
		if st := l.directory(d); st != 0 {
			status = st
		}
	}
	return status
}

// directory lists what a directory holds.
func (l *listing) directory(name string) int {
	entries, err := l.m.tree.list(l.p.user, l.path(name))
	if err != nil {
		return l.fail(2, "cannot open directory '%s': %s", name, reason(err))
	}
	var in []listed
	for _, e := range entries {
		if i, err := e.Info(); err == nil && (!strings.HasPrefix(e.Name(), ".") || has(l.flags, "a", "A", "all", "almost-all")) {
			in = append(in, listed{e.Name(), i.(info)})
		}
	}
	l.show(in)
	return 0
}

// show prints files in the order that the flags ask for.
func (l *listing) show(files []listed) {
	slices.SortStableFunc(files, func(a, b listed) int {
		if has(l.flags, "t") {
			return cmp.Or(b.info.mtime.Compare(a.info.mtime), cmp.Compare(a.name, b.name))
		}
		return cmp.Compare(a.name, b.name)
	})
	if has(l.flags, "r") {
		slices.Reverse(files)
	}
	for _, f := range files {
		if has(l.flags, "i") {
			l.printf("%d ", f.info.ino)
		}
		if has(l.flags, "l", "n") {
			l.printf("%s 1 %s %s %d %s ", perms(f.info.mode), f.info.owner, f.info.group, f.info.size, f.info.mtime.UTC().Format("Jan _2 15:04"))
		}
		l.printf("%s", f.name)
		if has(l.flags, "l") && f.info.target != "" {
			l.printf(" -> %s", f.info.target)
		}
		l.printf("\n")
	}
}

func du(c *call) int {
	fl, names, ok := c.flags("sbkm", "summarize bytes", "", "", false)
	if !ok {
		return 2
	}
	for _, name := range names {
		var total int64
		status := c.each([]string{name}, true, func(file string) error {
			i, err := c.m.tree.stat(c.p.user, file, false)
			if err == nil {
				total += i.Size()
			}
			return err
		})
		if status != 0 {
			return status
		}
		if !has(fl, "b", "bytes") {
			total = (total + 1023) / 1024
		}
		c.printf("%d\t%s\n", total, name)
	}
	return 0
}

// fuser names the processes that hold a lock on a file: the pretend machine knows of no others that have it open.
func fuser(c *call) int {
	_, names, ok := c.flags("vs", "", "", "", false)
	if !ok {
		return 2
	}
	status := 1
	for _, name := range names {
		i, err := c.m.tree.stat(c.p.user, c.path(name), true)
		if err != nil {
			c.eprintf("Specified filename %s does not exist.\n", name)
			continue
		}
		if pid := c.m.locks.holder(i.(info).ino); pid != 0 {
			c.eprintf("%s:", c.path(name))
			c.printf(" %5d", pid)
			c.eprintf("\n")
			status = 0
		}
	}
	return status
}
