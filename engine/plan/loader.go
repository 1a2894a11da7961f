package plan

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/document"
)

// How deep fragments may use fragments, and how many steps a plan may have with all its fragments taken apart.
const (
	maxFragments = 8
	maxSteps     = 20_000
)

// loader reads the files of a plan.
type loader struct {
	dir       string // shown before every name
	read      func(string) ([]byte, error)
	plan      *Plan
	faults    *document.Faults
	open      []string // the files being resolved, outermost first
	trees     map[string]*document.Value
	fragments map[string]*fragment
	steps     int          // so far
	outer     document.Pos // of the step being resolved that stands in the plan itself
}

// A fragment is a file that was read, whoever uses it.
type fragment struct {
	fragmentFile
	words *words
}

func (l *loader) shown(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

// document reads and parses a file once. at is where it was asked for.
func (l *loader) document(name string, at document.Pos) *document.Value {
	if v, ok := l.trees[name]; ok {
		return v
	}
	data, err := l.read(name)
	if err != nil {
		l.faults.Add(at, "", "reading %s: %s", name, reason(err))
		return nil
	}
	l.plan.files[name] = data
	v, err := document.Parse(l.shown(name), data)
	l.faults.Join(at, err)
	l.trees[name] = v
	return v
}

// reason strips what the place of the fault says already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file"
	}
	return err.Error()
}

// isFragment tells a file from a kind.
func isFragment(uses string) bool {
	return strings.ContainsAny(uses, `/\`) || strings.HasSuffix(uses, ".yaml") || strings.HasSuffix(uses, ".yml")
}

// fragment reads the fragment that a step uses, from the file that the step stands in. It returns nil after a fault.
func (l *loader) fragment(s *step) (*fragment, string) {
	at, uses := s.Uses.Pos, s.Uses.Text
	name := path.Join(path.Dir(l.open[len(l.open)-1]), uses)
	switch {
	case strings.Contains(uses, "://"):
		l.faults.Add(at, "keep a copy beside the plan", "a fragment is a file, not a URL")
	case !strings.HasPrefix(uses, "./") && !strings.HasPrefix(uses, "../"):
		l.faults.Add(at, "begin it with ./", "%q is neither a kind nor a path from this file", uses)
	case name == ".." || strings.HasPrefix(name, "../"):
		l.faults.Add(at, "fragments stay below the plan's directory", "%q leads out of the plan's directory", uses)
	case slices.Contains(l.open, name):
		chain := append(slices.Clone(l.open[slices.Index(l.open, name):]), name)
		l.faults.Add(at, "", "fragments use each other: %s", strings.Join(chain, " -> "))
	case len(l.open) > maxFragments:
		l.faults.Add(at, "", "fragments use fragments more than %d deep", maxFragments)
	default:
		return l.readFragment(name, at), name
	}
	return nil, ""
}

// readFragment reads a fragment once.
func (l *loader) readFragment(name string, at document.Pos) *fragment {
	if f, known := l.fragments[name]; known {
		return f
	}
	v := l.document(name, at)
	if v == nil {
		return nil
	}
	f := &fragment{}
	l.faults.Join(at, v.Decode(&f.fragmentFile, document.Hooks{}))
	f.words = newWords(f.Vars, l.plan.file.Versions != nil, l.faults)
	if f.Steps != nil && len(f.Steps) == 0 {
		l.faults.Add(f.Pos, "", `"steps" must hold at least one step`)
	}
	l.fragments[name] = f
	return f
}
