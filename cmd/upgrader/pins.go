package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/engine/private"
)

// The files of a run that a resume goes on from, beside the plan's.
const (
	manifestName  = "run.json"
	graphName     = "graph.json"
	inventoryName = "inventory.yaml"
)

// pin writes everything down that a resume needs: the plan's files, the inventory, the graph and, last, the manifest, which makes the
// directory a run. The journal says before what they will be, so that a resume finds out if they are something else.
// inventory is its text; empty if there is none, or if what was pinned before stays.
func (d runDir) pin(file *journal.File, m manifest, p *plan.Plan, g *engine.Graph, inventory []byte) error {
	files, err := d.contents(m, p, g, inventory)
	if err != nil {
		return err
	}
	digests := map[string]string{}
	for name, data := range files {
		digests[name] = digestOf(data)
	}
	if err := file.Append(journal.Record{Kind: journal.Pinned, Facts: digests}); err != nil {
		return err
	}
	for _, dir := range []string{"plan", "decisions"} {
		if err := private.MkdirAll(d.path(dir)); err != nil {
			return fmt.Errorf("making the run's directory: %w", err)
		}
	}
	last := files[manifestName]
	delete(files, manifestName)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := private.WriteFile(d.path(name), files[name]); err != nil {
			return err
		}
	}
	return private.WriteFile(d.path(manifestName), last)
}

// contents are the files that a resume needs, by their names in the run's directory.
func (d runDir) contents(m manifest, p *plan.Plan, g *engine.Graph, inventory []byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, data := range p.Files() {
		files["plan/"+safeName(name)] = data
	}
	if m.Inventory != "" {
		if len(inventory) == 0 {
			var err error
			if inventory, err = private.ReadFile(d.path(inventoryName)); err != nil {
				return nil, fmt.Errorf("pinning the inventory: %w", err)
			}
		}
		files[inventoryName] = inventory
	}
	graph, err := json.Marshal(g) // on one line: a large one would be mostly blanks
	if err != nil {
		return nil, fmt.Errorf("encoding the graph: %w", err)
	}
	files[graphName] = append(graph, '\n')
	if files[manifestName], err = encodeJSON(m); err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return files, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Pins are what the files of a run may be: what its journal says since a process last began with them. It is more than one set after a
// process that was killed while it put an edited plan in the place of the one before.
type pins []map[string]string

func (p *pins) take(rec *journal.Record) {
	switch {
	case rec.Kind == journal.Pinned:
		*p = append(*p, maps.Clone(rec.Facts))
	case rec.Kind == journal.Begin && len(*p) > 1:
		*p = (*p)[len(*p)-1:]
	}
}

// pinsOf reads them from a journal.
func pinsOf(scan func(each func(*journal.Record) error) error) (pins, error) {
	var p pins
	err := scan(func(rec *journal.Record) error {
		p.take(rec)
		return nil
	})
	return p, err
}

// edited are the files that are none of what they may be, in their order: changed, gone, or not readable.
func (p pins) edited(now map[string]string) []string {
	names := map[string]bool{}
	for _, set := range p {
		for name := range set {
			names[name] = true
		}
	}
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.ContainsFunc(p, func(set map[string]string) bool { return set[name] == now[name] }) {
			bad = append(bad, name)
		}
	}
	return bad
}

// settled says whether all files are what was pinned last.
func (p pins) settled(now map[string]string) bool {
	return len(p) > 0 && len(pins{p[len(p)-1]}.edited(now)) == 0
}

// digests are those of the files of the run as they are.
func (d runDir) digests() (map[string]string, error) {
	names := []string{manifestName, graphName, inventoryName}
	entries, err := private.ReadDir(d.path("plan"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		names = append(names, "plan/"+e.Name())
	}
	found := map[string]string{}
	for _, name := range names {
		data, err := private.ReadFile(d.path(filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading a file of the run: %w", err)
		}
		found[name] = digestOf(data)
	}
	return found, nil
}
