package plan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	"upgrader.dev/upgrader/engine/document"
)

// A Plan is a runbook that has been read: its text has been taken apart, its fragments are there, its structure is
// sound if Parse and Load returned no error. Nothing of it changes after that.
type Plan struct {
	Name        string
	Description string
	Vars        []Var // declared, in the order written

	file    planFile
	scope   *scope
	steps   []*unit // in the order written
	finally []*unit
	main    string // the plan's own file in the bundle
	files   Bundle
	faults  *document.Faults // of the structure
}

// A Bundle is every file that a plan consists of, by its path below the plan's directory: what a run has to keep so
// that it can be resumed whatever becomes of the files.
type Bundle map[string][]byte

// Files returns the files that the plan was read from.
func (p *Plan) Files() Bundle { return maps.Clone(p.files) }

// Main returns the name of the plan's own file in Files.
func (p *Plan) Main() string { return p.main }

// Versions returns what the plan says under versions, as written: a constraint, and a version or an expression.
func (p *Plan) Versions() (from, to string) {
	if p.file.Versions == nil {
		return "", ""
	}
	return p.file.Versions.From.Text, p.file.Versions.To.Text
}

// Load reads a plan and its fragments from files. The error holds every *document.Fault of the structure; if the plan is
// not nil all the same, its Check reports these and the rest.
func Load(name string) (*Plan, error) {
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("opening the plan's directory: %w", err)
	}
	defer root.Close()
	return load(filepath.Dir(name), filepath.Base(name), func(name string) ([]byte, error) { return readBelow(root, name) })
}

// LoadFS reads a plan and its fragments from a file system, such as the runbooks in the program.
func LoadFS(fsys fs.FS, name string) (*Plan, error) {
	sub, err := fs.Sub(fsys, path.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path.Dir(name), err)
	}
	return load(path.Dir(name), path.Base(name), func(name string) ([]byte, error) { return fs.ReadFile(sub, name) })
}

// readBelow reads a regular file below the root, within the limits of a document.
func readBelow(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, document.MaxBytes+1))
}

// load reads the main file and resolves everything that it names.
func load(dir, main string, read func(string) ([]byte, error)) (*Plan, error) {
	p := &Plan{main: main, files: Bundle{}, faults: &document.Faults{}}
	l := &loader{dir: dir, read: read, plan: p, faults: p.faults, trees: map[string]*document.Value{}, fragments: map[string]*fragment{}}
	if _, err := read(main); err != nil { // not a fault of a plan: there is none
		return nil, fmt.Errorf("reading the plan %s: %w", l.shown(main), err)
	}
	v := l.document(main, document.Pos{File: l.shown(main)})
	if v == nil {
		return nil, p.faults.Err()
	}
	p.faults.Join(v.Pos, v.Decode(&p.file, document.Hooks{}))
	p.Name, p.Description = p.file.Name.Text, p.file.Description
	if strings.Contains(p.Name, marker) {
		p.faults.Add(p.file.Name.Pos, "", `"name" takes no expression`)
	}
	p.scope = &scope{words: newWords(p.file.Vars, p.file.Versions != nil, p.faults)}
	p.Vars = p.scope.declared()
	l.resolve()
	return p, p.faults.Err()
}
