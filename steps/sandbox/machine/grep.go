package machine

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// posixRegexp turns a POSIX regular expression, basic or extended, into one of Go.
func posixRegexp(expr string, extended, ignoreCase bool) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("(?s")
	if ignoreCase {
		b.WriteString("i")
	}
	b.WriteString(")")
	for i := 0; i < len(expr); i++ {
		ch := expr[i]
		switch {
		case ch == '[':
			end := bracketEnd(expr, i)
			if end < 0 {
				return nil, errors.New("Unmatched [, [^, [:, [., or [=") //nolint:staticcheck // the words of grep
			}
			b.WriteString(strings.ReplaceAll(expr[i:end], `\`, `\\`))
			i = end - 1
		case ch == '\\' && i+1 < len(expr):
			i++
			writeEscape(&b, expr[i], extended)
		case !extended && strings.ContainsRune("(){}|+?", rune(ch)):
			b.WriteString(`\` + string(ch))
		case !extended && ch == '*' && (i == 0 || strings.HasSuffix(expr[:i], `\(`)):
			b.WriteString(`\*`)
		case !extended && ch == '^' && i > 0 && !strings.HasSuffix(expr[:i], `\(`) && !strings.HasSuffix(expr[:i], `\|`):
			b.WriteString(`\^`)
		case !extended && ch == '$' && i < len(expr)-1 && !strings.HasPrefix(expr[i+1:], `\)`) && !strings.HasPrefix(expr[i+1:], `\|`):
			b.WriteString(`\$`)
		default:
			b.WriteByte(ch)
		}
	}
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("the pretend command cannot compile %q: %w", expr, err)
	}
	re.Longest() // POSIX: leftmost, then longest
	return re, nil
}

// bracketEnd is where a bracket expression that begins at i ends.
func bracketEnd(expr string, i int) int {
	j := i + 1
	if j < len(expr) && expr[j] == '^' {
		j++
	}
	if j < len(expr) && expr[j] == ']' {
		j++
	}
	for ; j < len(expr); j++ {
		if strings.HasPrefix(expr[j:], "[:") {
			if end := strings.Index(expr[j:], ":]"); end > 0 {
				j += end + 1
				continue
			}
		}
		if expr[j] == ']' {
			return j + 1
		}
	}
	return -1
}

func writeEscape(b *strings.Builder, ch byte, extended bool) {
	switch {
	case ch == 'n':
		b.WriteString("\n")
	case strings.ContainsRune("wWsSbB", rune(ch)):
		b.WriteString(`\` + string(ch))
	case ch == '<' || ch == '>':
		b.WriteString(`\b`)
	case !extended && strings.ContainsRune("(){}|+?", rune(ch)):
		b.WriteByte(ch)
	default:
		b.WriteString(regexp.QuoteMeta(string(ch)))
	}
}

// matcher makes the test that grep's flags ask for.
func (c *call) grepMatcher(fl []flag, patterns []string) (*regexp.Regexp, error) {
	name := path.Base(c.args[0])
	key := name + "\x00" + fmt.Sprint(fl) + "\x00" + strings.Join(patterns, "\n")
	return c.m.cfg.Common.patterns.recall(key, func() (*regexp.Regexp, error) { return grepMatcher(fl, name, patterns) })
}

func grepMatcher(fl []flag, name string, patterns []string) (*regexp.Regexp, error) {
	extended := has(fl, "E", "extended-regexp") || name == "egrep"
	fixed := has(fl, "F", "fixed-strings") || name == "fgrep"
	var alternatives []string
	for _, p := range patterns {
		for one := range strings.SplitSeq(p, "\n") {
			text := regexp.QuoteMeta(one)
			if !fixed {
				re, err := posixRegexp(one, extended, false)
				if err != nil {
					return nil, err
				}
				text = strings.TrimPrefix(re.String(), "(?s)")
			}
			alternatives = append(alternatives, "(?:"+text+")")
		}
	}
	text := strings.Join(alternatives, "|")
	if has(fl, "w", "word-regexp") {
		text = `\b(?:` + text + `)\b`
	}
	if has(fl, "x", "line-regexp") {
		text = "^(?:" + text + ")$"
	}
	if has(fl, "i", "ignore-case") {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err == nil {
		re.Longest()
	}
	return re, err
}

// A grepCall is one run of grep.
type grepCall struct {
	*call
	re                                                *regexp.Regexp
	invert, quiet, count, only, numbers, list, silent bool
	most                                              int64
	withNames                                         bool
}

func grep(c *call) int {
	fl, rest, ok := c.flags("EFGqovxncsilwhHraI", "extended-regexp fixed-strings quiet silent only-matching invert-match line-regexp line-number count no-messages ignore-case files-with-matches word-regexp no-filename with-filename recursive text", "em", "regexp max-count", false)
	if !ok {
		return 2
	}
	var patterns []string
	for _, f := range fl {
		if f.name == "e" || f.name == "regexp" {
			patterns = append(patterns, f.value)
		}
	}
	if len(patterns) == 0 {
		if len(rest) == 0 {
			return c.fail(2, "Usage: grep [OPTION]... PATTERNS [FILE]...")
		}
		patterns, rest = rest[:1], rest[1:]
	}
	re, err := c.grepMatcher(fl, patterns)
	if err != nil {
		return c.fail(2, "%v", err)
	}
	g := &grepCall{
		call: c, re: re, invert: has(fl, "v", "invert-match"), quiet: has(fl, "q", "quiet", "silent"), count: has(fl, "c", "count"),
		only: has(fl, "o", "only-matching"), numbers: has(fl, "n", "line-number"), list: has(fl, "l", "files-with-matches"),
		silent: has(fl, "s", "no-messages"), most: number(value(fl, "-1", "m", "max-count")),
	}
	if has(fl, "r", "recursive") {
		rest = g.below(rest)
	}
	g.withNames = (len(rest) > 1 || has(fl, "H", "with-filename", "r", "recursive")) && !has(fl, "h", "no-filename")
	return g.all(rest)
}

// below names every file below the directories.
func (g *grepCall) below(dirs []string) []string {
	var files []string
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	for _, d := range dirs {
		_ = g.walkFiles(g.path(d), true, func(name string) error {
			if i, err := g.m.tree.stat(g.p.user, name, true); err == nil && !i.IsDir() {
				files = append(files, name)
			}
			return nil
		})
	}
	return files
}

func (g *grepCall) all(files []string) int {
	if len(files) == 0 {
		files = []string{"-"}
	}
	found, failed := false, false
	for _, name := range files {
		data, err := g.slurp(name)
		if err != nil {
			failed = true
			if !g.silent {
				g.fail(2, "%s: %s", name, reason(err))
			}
			continue
		}
		if g.file(name, data) {
			found = true
			if g.quiet {
				return 0
			}
		}
	}
	switch {
	case failed:
		return 2
	case found:
		return 0
	}
	return 1
}

// file greps one file and says whether something was selected.
func (g *grepCall) file(name string, data []byte) bool {
	prefix := ""
	if g.withNames {
		prefix = name + ":"
		if name == "-" {
			prefix = "(standard input):"
		}
	}
	var selected int64
	for i, l := range splitLines(data) {
		line := strings.TrimSuffix(string(l), "\n")
		if g.re.MatchString(line) == g.invert {
			continue
		}
		selected++
		if g.quiet || g.list {
			break
		}
		number := ""
		if g.numbers {
			number = fmt.Sprintf("%d:", i+1)
		}
		switch {
		case g.count:
		case g.only && !g.invert:
			for _, m := range g.re.FindAllString(line, -1) {
				if m != "" {
					g.printf("%s%s%s\n", prefix, number, m)
				}
			}
		case !g.only:
			g.printf("%s%s%s\n", prefix, number, line)
		}
		if selected == g.most {
			break
		}
	}
	if g.count && !g.quiet {
		g.printf("%s%d\n", prefix, selected)
	}
	if g.list && selected > 0 {
		g.printf("%s\n", name)
	}
	return selected > 0
}
