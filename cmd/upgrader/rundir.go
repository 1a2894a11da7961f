package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A runDir is the directory of one run.
type runDir string

func (d runDir) path(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

// discard takes back the directory of a run that did not begin.
func (d runDir) discard() error { return os.RemoveAll(string(d)) }

func (d runDir) manifest() (manifest, error) {
	var m manifest
	err := readJSON(d.path(manifestName), &m)
	return m, err
}

func (d runDir) graph() (*engine.Graph, error) {
	var g engine.Graph
	if err := readJSON(d.path(graphName), &g); err != nil {
		return nil, fmt.Errorf("reading the pinned graph: %w", err)
	}
	return &g, nil
}

// summary tells what became of the run so far. A run whose process is gone without a word is paused: it can be resumed.
func (d runDir) summary() (*engine.Graph, engine.Summary, error) {
	g, err := d.graph()
	if err != nil {
		return nil, engine.Summary{}, err
	}
	p, err := d.progress(g)
	if err != nil {
		return nil, engine.Summary{}, err
	}
	return g, d.stateOf(p.Summary()), nil
}

// progress is the run as its journal has it.
func (d runDir) progress(g *engine.Graph) (*engine.Progress, error) { return d.follow(g).look() }

// A follower looks at a run again and again, and reads what its journal has got since.
type follower struct {
	progress *engine.Progress
	journal  *journal.Follower
}

func (d runDir) follow(g *engine.Graph) follower {
	return follower{engine.NewProgress(g), journal.NewFollower(string(d))}
}

// look is the run as its journal has it now. After an error it is not to be called again.
func (f follower) look() (*engine.Progress, error) {
	if err := beside(f.journal.Scan, f.progress.Take); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f.progress, nil
}

// stateOf is what became of the run, with what only the lock on its journal tells: that nobody works on it any more.
func (d runDir) stateOf(s engine.Summary) engine.Summary {
	if s.State == engine.Running && !journal.InUse(string(d)) {
		s.State, s.Why = engine.Paused, cmp.Or(s.Why, "no process works on it any more: it was killed or it let go; `upgrader resume` goes on")
	}
	return s
}

// log is the file of a node's raw output: logs/<host>/<step>.log. Steps of groups are in directories of the group.
func (d runDir) log(n *engine.Node) string {
	parts := []string{"logs", safeName(n.Target.Name)}
	for _, p := range strings.Split(n.Step, "/") {
		parts = append(parts, safeName(p))
	}
	return d.path(parts...) + ".log"
}

// safeName turns any name into that of one file in one directory.
func safeName(name string) string {
	if name == "." || name == ".." || name == "" {
		return "_" + strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
