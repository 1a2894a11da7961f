package machine

import (
	"regexp"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// A Common is what the machines of one cluster share: its certificate authorities, and what they have understood of the
// scripts that run on all of them, since five hundred machines that read the same script need not parse it each.
type Common struct {
	*Authorities

	scripts  memory[script]
	patterns memory[*regexp.Regexp]
}

// NewCommon makes what the machines of a new cluster share.
func NewCommon() (*Common, error) {
	a, err := newAuthorities()
	if err != nil {
		return nil, err
	}
	return &Common{Authorities: a}, nil
}

// A script is one that was parsed and rewritten. Nobody changes it any more.
type script struct {
	file  *syntax.File
	funcs map[string]bool // that it defines
}

// attended is a shell beside which somebody listens whether the one who ordered it is still there (attended in
// steps/remote): jobs of the shell, descriptors above 2 and signals among processes, which the interpreter has none of. Here
// a session's end is the end of what runs in it, so that the shell alone is the same.
var attended = regexp.MustCompile(`^(echo \S+-ready >&2; )trap "exit 2" USR1; exec 3<&0; .* & wait$`)

// script parses a script and rewrites it for the interpreter.
func (c *Common) script(text, name string) (script, error) {
	text = attended.ReplaceAllString(text, "${1}exec /bin/sh")
	return c.scripts.recall(name+"\x00"+text, func() (script, error) {
		file, err := parse(text, name)
		if err != nil {
			return script{}, err
		}
		return script{file, rewrite(file)}, nil
	})
}

// pattern compiles a POSIX regular expression.
func (c *Common) pattern(expr string, extended, ignoreCase bool) (*regexp.Regexp, error) {
	kind := string([]byte{flagByte(extended), flagByte(ignoreCase)})
	return c.patterns.recall(kind+expr, func() (*regexp.Regexp, error) { return posixRegexp(expr, extended, ignoreCase) })
}

func flagByte(yes bool) byte {
	if yes {
		return 'y'
	}
	return 'n'
}

// maxMemory is how many results are kept. Most scripts come again, but those with a job's ID inside never do.
const maxMemory = 1000

// A memory keeps results that are dear to come by, until there are too many of them. The zero value is ready for use.
type memory[T any] struct {
	mu  sync.Mutex
	all map[string]T
}

// recall is the result under a name, made now if nobody has asked before. Faults are not kept.
func (m *memory[T]) recall(name string, work func() (T, error)) (T, error) {
	m.mu.Lock()
	known, ok := m.all[name]
	m.mu.Unlock()
	if ok {
		return known, nil
	}
	v, err := work()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= maxMemory {
		m.all = map[string]T{}
	}
	m.all[name] = v
	return v, nil
}
