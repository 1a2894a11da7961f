package machine

import (
	"fmt"
	"regexp"
	"strings"
)

// A sedAddress selects lines: a number, the last, or those that match.
type sedAddress struct {
	line int
	last bool
	re   *regexp.Regexp
}

func (a *sedAddress) selects(line string, n int, last bool) bool {
	switch {
	case a.re != nil:
		return a.re.MatchString(line)
	case a.last:
		return last
	}
	return n == a.line
}

// A sedCommand is one command of a sed script: s, p, d, q, =, a, i, c and y are not all there are, but all that the
// pretend sed knows: s p d q a i c { } and !.
type sedCommand struct {
	from, to *sedAddress
	not      bool
	in       bool // inside the range from,to
	name     byte
	re       *regexp.Regexp
	with     string // replacement, or the text of a, i and c
	nth      int
	global   bool
	print    bool
	block    []*sedCommand
}

// A sedParser reads a sed script.
type sedParser struct {
	common   *Common
	s        string
	extended bool
	last     *regexp.Regexp
}

func (p *sedParser) skip(chars string) {
	p.s = strings.TrimLeft(p.s, chars)
}

func (p *sedParser) commands(inBlock bool) ([]*sedCommand, error) {
	var list []*sedCommand
	for {
		p.skip(" \t\n;")
		if p.s == "" {
			if inBlock {
				return nil, fmt.Errorf("unmatched `{'")
			}
			return list, nil
		}
		if p.s[0] == '}' && inBlock {
			p.s = p.s[1:]
			return list, nil
		}
		if p.s[0] == '#' {
			_, p.s, _ = strings.Cut(p.s, "\n")
			continue
		}
		c, err := p.command()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
}

func (p *sedParser) command() (*sedCommand, error) {
	c := &sedCommand{}
	var err error
	if c.from, err = p.address(); err != nil {
		return nil, err
	}
	if c.from != nil && strings.HasPrefix(p.s, ",") {
		p.s = p.s[1:]
		if c.to, err = p.address(); err != nil || c.to == nil {
			return nil, fmt.Errorf("unexpected `,'")
		}
	}
	p.skip(" \t")
	if strings.HasPrefix(p.s, "!") {
		c.not = true
		p.s = strings.TrimLeft(p.s[1:], " \t")
	}
	if p.s == "" {
		return nil, fmt.Errorf("missing command")
	}
	c.name, p.s = p.s[0], p.s[1:]
	switch c.name {
	case 'p', 'd', 'q':
		return c, nil
	case '{':
		c.block, err = p.commands(true)
		return c, err
	case 'a', 'i', 'c':
		p.skip(" \t")
		p.s = strings.TrimLeft(strings.TrimPrefix(p.s, "\\"), "\n")
		c.with, p.s, _ = strings.Cut(p.s, "\n")
		return c, nil
	case 's':
		return c, p.substitute(c)
	}
	return nil, fmt.Errorf("the pretend command does not know the sed command %q", c.name)
}

func (p *sedParser) address() (*sedAddress, error) {
	p.skip(" \t")
	switch {
	case p.s == "":
		return nil, nil
	case p.s[0] == '$':
		p.s = p.s[1:]
		return &sedAddress{last: true}, nil
	case leadingDigits(p.s) > 0:
		n := leadingDigits(p.s)
		a := &sedAddress{line: int(number(p.s[:n]))}
		p.s = p.s[n:]
		return a, nil
	case p.s[0] == '/' || p.s[0] == '\\' && len(p.s) > 1:
		if p.s[0] == '\\' {
			p.s = p.s[1:]
		}
		text, err := p.until(p.s[0])
		if err != nil {
			return nil, err
		}
		re, err := p.regexp(text, strings.HasPrefix(p.s, "I"))
		p.s = strings.TrimPrefix(p.s, "I")
		return &sedAddress{re: re}, err
	}
	return nil, nil
}

// until reads what stands between the delimiter that the script begins with and the next one, which stays.
func (p *sedParser) until(delim byte) (string, error) {
	var b strings.Builder
	rest := p.s[1:]
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest) && rest[i+1] == delim:
			i++
			b.WriteByte(delim)
		case rest[i] == '\\' && i+1 < len(rest):
			b.WriteString(rest[i : i+2])
			i++
		case rest[i] == '[' && delim != '[':
			end := bracketEnd(rest, i)
			if end < 0 || strings.IndexByte(rest[i:end], '\n') >= 0 {
				b.WriteByte('[') // in a replacement it is a plain character
				continue
			}
			b.WriteString(rest[i:end])
			i = end - 1
		case rest[i] == delim:
			p.s = rest[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(rest[i])
		}
	}
	return "", fmt.Errorf("unterminated `s' command or address")
}

func (p *sedParser) regexp(text string, ignoreCase bool) (*regexp.Regexp, error) {
	if text == "" && p.last != nil {
		return p.last, nil
	}
	re, err := p.common.pattern(text, p.extended, ignoreCase)
	p.last = re
	return re, err
}

func (p *sedParser) substitute(c *sedCommand) error {
	if p.s == "" {
		return fmt.Errorf("unterminated `s' command")
	}
	delim := p.s[0]
	pattern, err := p.until(delim)
	if err != nil {
		return err
	}
	p.s = string(delim) + p.s
	if c.with, err = p.untilPlain(delim); err != nil {
		return err
	}
	ignoreCase := false
	for p.s != "" && strings.ContainsRune("gpIi0123456789", rune(p.s[0])) {
		switch ch := p.s[0]; ch {
		case 'g':
			c.global = true
		case 'p':
			c.print = true
		case 'I', 'i':
			ignoreCase = true
		default:
			c.nth = c.nth*10 + int(ch-'0')
		}
		p.s = p.s[1:]
	}
	if p.s != "" && !strings.ContainsRune(" \t\n;}", rune(p.s[0])) {
		return fmt.Errorf("the pretend command does not know the flag %q of s", p.s[0])
	}
	c.re, err = p.regexp(pattern, ignoreCase)
	return err
}

// untilPlain is until for a replacement, where brackets mean nothing.
func (p *sedParser) untilPlain(delim byte) (string, error) {
	rest := p.s[1:]
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && i+1 < len(rest):
			if rest[i+1] != delim || delim == '&' {
				b.WriteByte('\\')
			}
			b.WriteByte(rest[i+1])
			i++
		case rest[i] == delim:
			p.s = rest[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(rest[i])
		}
	}
	return "", fmt.Errorf("unterminated `s' command")
}

// replace performs s on a line.
func (c *sedCommand) replace(line string) (string, bool) {
	matches := [][]int{c.re.FindStringSubmatchIndex(line)}
	if matches[0] == nil {
		return line, false
	}
	if c.global || c.nth > 1 {
		matches = c.re.FindAllStringSubmatchIndex(line, -1)
	}
	var b strings.Builder
	at, done := 0, false
	for i, m := range matches {
		if c.nth > 0 && i+1 < c.nth || (!c.global && done) {
			continue
		}
		b.WriteString(line[at:m[0]])
		b.WriteString(c.expand(line, m))
		at, done = m[1], true
	}
	b.WriteString(line[at:])
	return b.String(), done
}

func (c *sedCommand) expand(line string, m []int) string {
	var b strings.Builder
	group := func(n int) {
		if 2*n+1 < len(m) && m[2*n] >= 0 {
			b.WriteString(line[m[2*n]:m[2*n+1]])
		}
	}
	for i := 0; i < len(c.with); i++ {
		ch := c.with[i]
		switch {
		case ch == '&':
			group(0)
		case ch == '\\' && i+1 < len(c.with):
			i++
			switch next := c.with[i]; {
			case next >= '0' && next <= '9':
				group(int(next - '0'))
			case next == 'n':
				b.WriteByte('\n')
			case next == 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(next)
			}
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// A sedRun is one pass over a file.
type sedRun struct {
	quiet bool
	out   strings.Builder
	after []string // text of a, printed when the line is done
}

// line runs the commands on one line; keep says whether it is printed at the end, more whether to go on.
func (r *sedRun) line(list []*sedCommand, line string, n int, last bool) (out string, keep, more bool) {
	for _, c := range list {
		if !c.selected(line, n, last) {
			continue
		}
		switch c.name {
		case 's':
			var done bool
			if line, done = c.replace(line); done && c.print {
				r.out.WriteString(line + "\n")
			}
		case 'p':
			r.out.WriteString(line + "\n")
		case 'd':
			return line, false, true
		case 'c':
			r.out.WriteString(c.with + "\n")
			return line, false, true
		case 'i':
			r.out.WriteString(c.with + "\n")
		case 'a':
			r.after = append(r.after, c.with)
		case 'q':
			return line, true, false
		case '{':
			if line, keep, more = r.line(c.block, line, n, last); !keep || !more {
				return line, keep, more
			}
		}
	}
	return line, true, true
}

func (c *sedCommand) selected(line string, n int, last bool) bool {
	yes := true
	switch {
	case c.from == nil:
	case c.to == nil:
		yes = c.from.selects(line, n, last)
	case c.in:
		c.in = (c.to.re != nil || c.to.last || n < c.to.line) && !c.to.selects(line, n, last)
	default:
		yes = c.from.selects(line, n, last)
		c.in = yes && (c.to.re != nil || c.to.last || c.to.line > n)
	}
	return yes != c.not
}

func (r *sedRun) run(list []*sedCommand, data []byte) string {
	all := splitLines(data)
	for i, l := range all {
		text := strings.TrimSuffix(string(l), "\n")
		ended := len(text) < len(l)
		out, keep, more := r.line(list, text, i+1, i == len(all)-1)
		if keep && !r.quiet {
			r.out.WriteString(out)
			if ended {
				r.out.WriteString("\n")
			}
		}
		for _, a := range r.after {
			r.out.WriteString(a + "\n")
		}
		r.after = nil
		if !more {
			break
		}
	}
	return r.out.String()
}

// inPlace takes -i off a command line of sed: it has a value only when that is attached.
func inPlace(words []string) (args []string, yes bool, suffix string) {
	args = words[:1:1]
	for i, a := range words[1:] {
		if a == "--" {
			return append(args, words[1+i:]...), yes, suffix
		}
		if rest, ok := strings.CutPrefix(a, "-i"); ok {
			yes, suffix = true, rest
			continue
		}
		args = append(args, a)
	}
	return args, yes, suffix
}

func sed(c *call) int {
	args, edits, suffix := inPlace(c.args)
	child := *c
	child.args = args
	fl, rest, ok := child.flags("nErsuz", "quiet silent regexp-extended separate in-place", "ef", "expression file", false)
	if !ok {
		return 2
	}
	script, given := "", false
	for _, f := range fl {
		if f.name == "e" || f.name == "expression" {
			script, given = script+f.value+"\n", true
		}
	}
	if !given {
		if len(rest) == 0 {
			return c.fail(1, "no script specified")
		}
		script, rest = rest[0], rest[1:]
	}
	parse := func() ([]*sedCommand, error) {
		p := &sedParser{common: c.m.cfg.Common, s: script, extended: has(fl, "E", "r", "regexp-extended")}
		return p.commands(false)
	}
	if _, err := parse(); err != nil {
		return c.fail(1, "-e expression #1: %v", err)
	}
	quiet := has(fl, "n", "quiet", "silent")
	return c.inputs(rest, func(name string, data []byte) int {
		list, _ := parse() // a range's state is per file
		out := (&sedRun{quiet: quiet}).run(list, data)
		if !edits && !has(fl, "in-place") {
			c.printf("%s", out)
			return 0
		}
		return c.rewriteFile(name, suffix, data, out)
	})
}

// rewriteFile replaces a file as sed -i does, keeping its mode.
func (c *call) rewriteFile(name, suffix string, before []byte, after string) int {
	file := c.path(name)
	if suffix != "" {
		if _, err := c.m.tree.write(c.p.user, file+suffix, before, 0o644); err != nil {
			return c.fail(4, "couldn't write %s%s: %s", name, suffix, reason(err))
		}
		c.m.changedFile(c.p, "wrote", file+suffix)
	}
	differs, err := c.m.tree.write(c.p.user, file, []byte(after), 0o644)
	if err != nil {
		return c.fail(4, "couldn't write %s: %s", name, reason(err))
	}
	if differs {
		c.m.changedFile(c.p, "wrote", file)
		c.m.noticeManifests(file)
	}
	return 0
}
