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

// maxFragments is how deep fragments may use fragments.
const maxFragments = 8

// loader reads the files of a plan.
type loader struct {
	dir    string // shown before every name
	read   func(string) ([]byte, error)
	plan   *Plan
	faults *document.Faults
	open   []string // the files being resolved, outermost first
	trees  map[string]*document.Value
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
	if l.trees == nil {
		l.trees = map[string]*document.Value{}
	}
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
func (l *loader) fragment(s *step) (*fragmentFile, string) {
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

func (l *loader) readFragment(name string, at document.Pos) *fragmentFile {
	v := l.document(name, at)
	if v == nil {
		return nil
	}
	f := &fragmentFile{}
	l.faults.Join(at, v.Decode(f, document.Hooks{}))
	return f
}
