package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/private"
)

// A store is the state directory: what is known about every run that began on this machine. What is in it decides what is done on
// every host, so all of it goes through package private, which opens nothing that another user may have written.
//
//	runs/<run>/run.json        what the run was started with (manifest)
//	runs/<run>/plan/           the plan and its fragments, as they were
//	runs/<run>/inventory.yaml  the inventory, as it was, if there was one
//	runs/<run>/graph.json      what the two expand to: what a resume goes on with
//	runs/<run>/journal.jsonl   what happened
//	runs/<run>/logs/<host>/<step>.log   raw output
//	runs/<run>/decisions/      what `upgrader approve` leaves for the run to find
//	clusters/<uid>.lock        held by the process that works on the cluster
type store struct{ dir string }

// stateDir finds the state directory: the flag, UPGRADER_STATE_DIR, $XDG_STATE_HOME/upgrader, ~/.local/state/upgrader. One that
// others may have written to is refused; that there is none yet is no error.
func stateDir(flag string, env map[string]string) (store, error) {
	s, err := statePlace(flag, env)
	if err != nil {
		return store{}, err
	}
	if owner, strange := private.Stranger(env["HOME"]); strange && os.Geteuid() == 0 && s.dir == defaultState(env["HOME"]) {
		return store{}, invalid("HOME is %s, which belongs to %s, but this runs as root, as under a sudo that keeps HOME: run it as %s, or name a place of root's with --state-dir, such as /var/lib/upgrader",
			env["HOME"], owner, owner)
	}
	if err := private.Check(s.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return store{}, err
	}
	return s, nil
}

func defaultState(home string) string { return filepath.Join(home, ".local", "state", "upgrader") }

func statePlace(flag string, env map[string]string) (store, error) {
	base := env["XDG_STATE_HOME"]
	switch {
	case flag != "":
		return store{flag}, nil
	case env["UPGRADER_STATE_DIR"] != "":
		return store{env["UPGRADER_STATE_DIR"]}, nil
	case filepath.IsAbs(base): // the XDG specification has relative paths ignored
		return store{filepath.Join(base, "upgrader")}, nil
	case env["HOME"] != "":
		return store{defaultState(env["HOME"])}, nil
	default:
		return store{}, invalid("no place for the state: HOME is not set; give --state-dir or set UPGRADER_STATE_DIR")
	}
}

// findRun finds the run that a command was given.
func findRun(c *console, g *global, name string) (listing, error) {
	s, err := stateDir(g.stateDir, c.env)
	if err != nil {
		return listing{}, err
	}
	return s.find(name)
}

// A manifest is what a run was started with: enough to resume it from anywhere.
type manifest struct {
	ID         string            `json:"id"`
	Created    time.Time         `json:"created"`
	Upgrader   string            `json:"upgrader"` // version of the program
	Plan       string            `json:"plan"`     // the plan's name
	PlanPath   string            `json:"planPath"` // absolute; or the name of a plan that came with the program
	Inventory  string            `json:"inventory,omitempty"`
	Vars       map[string]string `json:"vars,omitempty"`
	Cluster    clusterID         `json:"cluster"`
	Kubeconfig string            `json:"kubeconfig,omitempty"`
	Context    string            `json:"context,omitempty"`
	Sandbox    bool              `json:"sandbox,omitempty"`
	Yes        bool              `json:"yes,omitempty"`
}

// A clusterID says which cluster a run belongs to. UID decides, the rest is for people.
type clusterID struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	Server string `json:"server"`
}

// full is the cluster's name and where it is.
func (c clusterID) full() string {
	if c.Name == "" {
		return c.Server
	}
	return c.Name + " at " + c.Server
}

func (c clusterID) String() string { return cmp.Or(c.Name, c.Server, c.UID) }

// create makes the directory of a new run. Its parents are made too, all for the owner only.
func (s store) create(now time.Time) (string, runDir, error) {
	runs := filepath.Join(s.dir, "runs")
	if err := private.MkdirAll(runs); err != nil {
		return "", "", fmt.Errorf("making the state directory: %w", err)
	}
	for range 100 {
		id := newRunID(now)
		dir := filepath.Join(runs, id)
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", "", fmt.Errorf("making the run's directory: %w", err)
		}
		return id, runDir(dir), nil
	}
	return "", "", fmt.Errorf("no free run ID found in %s", runs)
}

// A listing is a run in the store: its manifest and where it is.
type listing struct {
	manifest
	dir    runDir
	broken error // the manifest cannot be read
}

// list returns every run, the newest first. What holds no manifest is no run: a directory being made.
func (s store) list() ([]listing, error) {
	entries, err := private.ReadDir(filepath.Join(s.dir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the runs: %w", err)
	}
	var runs []listing
	for _, e := range entries {
		dir := runDir(filepath.Join(s.dir, "runs", e.Name()))
		m, err := dir.manifest()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has not begun
		}
		if err != nil {
			m = manifest{ID: e.Name()}
			if info, err := e.Info(); err == nil {
				m.Created = info.ModTime()
			}
			err = fmt.Errorf("run %s: its record %s cannot be read: %w", m.ID, dir.path(manifestName), err)
		}
		runs = append(runs, listing{m, dir, err})
	}
	slices.SortFunc(runs, func(a, b listing) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID)) })
	return runs, nil
}

// find returns the run that a person means: nothing is the newest, otherwise a run ID or a prefix of only one.
func (s store) find(name string) (listing, error) {
	run, err := s.pick(name)
	if err == nil {
		err = run.broken // a run must not be passed over for the one before it
	}
	if err == nil {
		err = private.Tree(string(run.dir))
	}
	return run, err
}

func (s store) pick(name string) (listing, error) {
	runs, err := s.list()
	if err != nil {
		return listing{}, err
	}
	if len(runs) == 0 {
		return listing{}, invalid("there is no run in %s: start one with `upgrader run PLAN`, or name another place with --state-dir", s.dir)
	}
	if name == "" {
		return runs[0], nil
	}
	var hits []listing
	for _, r := range runs {
		if r.ID == name {
			return r, nil
		}
		if strings.HasPrefix(r.ID, name) {
			hits = append(hits, r)
		}
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return listing{}, invalid("there is no run %q in %s: `upgrader runs` lists them; the newest is %s", name, s.dir, runs[0].ID)
	default:
		ids := make([]string, len(hits))
		for i, h := range hits {
			ids[i] = h.ID
		}
		return listing{}, invalid("%q is the beginning of %d runs (%s): give more of it", name, len(hits), strings.Join(ids, ", "))
	}
}

func readJSON(path string, into any) error {
	data, err := private.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file as a whole: a reader, or a crash, sees the old one or the new one.
func writeJSON(path string, value any) error {
	data, err := encodeJSON(value)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	return private.WriteFile(path, data)
}

func encodeJSON(value any) ([]byte, error) {
	data, err := json.MarshalIndent(value, "", "  ")
	return append(data, '\n'), err
}
