package machine

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A findTest is one test or action of find; it says whether the file passes.
type findTest func(name string, i info, depth int) bool

func find(c *call) int {
	args := c.args[1:]
	var starts []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "!" && args[0] != "(" {
		starts, args = append(starts, args[0]), args[1:]
	}
	if len(starts) == 0 {
		starts = []string{"."}
	}
	f := &findCall{call: c, maxDepth: 1 << 20, print: true}
	tests, status := f.parse(args)
	if status != 0 {
		return status
	}
	for _, s := range starts {
		if err := f.walk(s, 0, tests); err != nil {
			f.status = c.fail(1, "'%s': %s", s, reason(err))
		}
	}
	return f.status
}

type findCall struct {
	*call
	minDepth, maxDepth int
	print, delete      bool
	status             int
}

// parse reads the expression; tests are joined by "and", except around -o, which is not known.
func (f *findCall) parse(args []string) ([]findTest, int) {
	var tests []findTest
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		not := word == "!" || word == "-not"
		if not && len(args) > 0 {
			word, args = args[0], args[1:]
		}
		test, used, status := f.test(word, args)
		if status != 0 {
			return nil, status
		}
		args = args[used:]
		if not {
			inner := test
			test = func(name string, i info, depth int) bool { return !inner(name, i, depth) }
		}
		if test != nil {
			tests = append(tests, test)
		}
	}
	return tests, 0
}

// test makes one word of the expression into a test; used is how many words after it belong to it.
func (f *findCall) test(word string, args []string) (test findTest, used, status int) {
	switch word {
	case "-empty":
		return func(_ string, i info, _ int) bool { return i.size == 0 }, 0, 0
	case "-print":
		return nil, 0, 0
	case "-delete":
		f.print, f.delete = false, true
		return nil, 0, 0
	case "-exec":
		return f.execTest(args)
	}
	if len(args) == 0 {
		return nil, 0, f.unknown(word)
	}
	arg := args[0]
	switch word {
	case "-newer":
		ref, err := f.m.tree.stat(f.p.user, f.path(arg), true)
		if err != nil {
			return nil, 0, f.fail(1, "'%s': %s", arg, reason(err))
		}
		return func(_ string, i info, _ int) bool { return i.mtime.After(ref.ModTime()) }, 1, 0
	case "-maxdepth":
		f.maxDepth = int(number(arg))
		return nil, 1, 0
	case "-mindepth":
		f.minDepth = int(number(arg))
		return nil, 1, 0
	}
	if test = property(word, arg); test == nil {
		return nil, 0, f.unknown(word)
	}
	return test, 1, 0
}

// property tests what a file is called or is like.
func property(word, arg string) findTest {
	switch word {
	case "-name":
		return func(name string, _ info, _ int) bool { ok, _ := path.Match(arg, path.Base(name)); return ok }
	case "-path":
		return func(name string, _ info, _ int) bool { ok, _ := path.Match(arg, name); return ok }
	case "-type":
		return func(_ string, i info, _ int) bool { return perms(i.mode)[:1] == strings.Replace(arg, "f", "-", 1) }
	case "-mmin":
		return func(_ string, i info, _ int) bool { return compareCount(int64(time.Since(i.mtime)/time.Minute), arg) }
	case "-mtime":
		return func(_ string, i info, _ int) bool {
			return compareCount(int64(time.Since(i.mtime)/(24*time.Hour)), arg)
		}
	case "-perm":
		want, _ := strconv.ParseUint(strings.TrimLeft(arg, "-/"), 8, 16)
		return func(_ string, i info, _ int) bool {
			return bits(i.mode)&want == want && (arg[0] == '-' || bits(i.mode) == want)
		}
	case "-user":
		return func(_ string, i info, _ int) bool { return i.owner == arg }
	case "-size":
		return func(_ string, i info, _ int) bool { return compareCount(i.size, strings.TrimRight(arg, "c")) }
	}
	return nil
}

func (f *findCall) execTest(args []string) (findTest, int, int) {
	end := slices.IndexFunc(args, func(a string) bool { return a == ";" || a == "+" })
	if end < 0 {
		return nil, 0, f.fail(1, "missing argument to `-exec'")
	}
	f.print = false
	return func(name string, _ info, _ int) bool {
		words := slices.Clone(args[:end])
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "{}", name)
		}
		return f.run(words) == 0
	}, end + 1, 0
}

// compareCount compares as find does: +n more, -n less, n exactly.
func compareCount(have int64, want string) bool {
	n := number(strings.TrimLeft(want, "+-"))
	switch want[0] {
	case '+':
		return have > n
	case '-':
		return have < n
	}
	return have == n
}

func (f *findCall) walk(name string, depth int, tests []findTest) error {
	st, err := f.m.tree.stat(f.p.user, f.path(name), false)
	if err != nil {
		return err
	}
	if st.IsDir() && depth < f.maxDepth {
		entries, err := f.m.tree.list(f.p.user, f.path(name))
		if err != nil {
			return err
		}
		if !f.delete {
			f.visit(name, st.(info), depth, tests)
		}
		for _, e := range entries {
			if err := f.walk(strings.TrimSuffix(name, "/")+"/"+e.Name(), depth+1, tests); err != nil {
				f.status = f.fail(1, "'%s': %s", name, reason(err))
			}
		}
		if !f.delete {
			return nil
		}
	}
	f.visit(name, st.(info), depth, tests)
	return nil
}

func (f *findCall) visit(name string, i info, depth int, tests []findTest) {
	if depth < f.minDepth {
		return
	}
	for _, t := range tests {
		if !t(name, i, depth) {
			return
		}
	}
	if f.print {
		f.printf("%s\n", name)
	}
	if f.delete {
		if err := f.m.tree.remove(f.p.user, f.path(name), false); err != nil {
			f.status = f.fail(1, "cannot delete '%s': %s", name, reason(err))
			return
		}
		f.m.changedFile(f.p, "removed", f.path(name))
	}
}
