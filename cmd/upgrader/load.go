package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/plans"
	"upgrader.dev/upgrader/steps"
	"upgrader.dev/upgrader/steps/remote"
)

// offline is the catalog without clients: enough to check, expand and explain.
func offline() (*engine.Catalog, error) { return steps.Catalog(steps.Deps{}) }

// loadPlan reads a plan and checks it as far as that is possible without a cluster. Where there is no such file, a plan
// of that name that came with the program is meant. The error holds every fault.
func loadPlan(name string, catalog *engine.Catalog) (*plan.Plan, error) {
	p, err := readPlan(name)
	if p != nil { // then the check tells the faults of reading as well
		err = p.Check(catalog)
	}
	return p, asInvalid(err)
}

func readPlan(name string) (*plan.Plan, error) {
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return plan.Load(name)
	}
	file := builtin(name)
	if file == "" {
		return nil, fmt.Errorf("there is no plan %s, and none of that name comes with upgrader (%s): %w", name, strings.Join(builtins(), ", "), fs.ErrNotExist)
	}
	return plan.LoadFS(plans.FS, file)
}

// builtin finds a plan among those in the program, by its name with or without .yaml. It returns its file, or nothing.
func builtin(name string) string {
	dir, file := path.Split(filepath.ToSlash(name))
	if file = strings.TrimSuffix(file, ".yaml") + ".yaml"; dir != "" && dir != "plans/" {
		return ""
	}
	if slices.Contains(builtins(), file) {
		return file
	}
	return ""
}

// builtins are the names of the plans in the program.
func builtins() []string {
	files, _ := fs.Glob(plans.FS, "*.yaml")
	return files
}

// parseVars turns name=value words into a map.
func parseVars(words []string) (map[string]string, error) {
	vars := map[string]string{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, invalid("--var %q: want name=value", w)
		}
		vars[name] = value
	}
	return vars, nil
}

// targetsFor returns the hosts of an inventory, or without one those of a pretend cluster: for looking at a plan while
// no cluster is at hand.
func targetsFor(inventory string) ([]engine.Target, error) {
	if inventory != "" {
		inv, err := remote.LoadInventory(inventory)
		if err != nil {
			return nil, asInvalid(err)
		}
		return inv.Targets(), nil
	}
	var targets []engine.Target
	for i := range 3 {
		targets = append(targets, engine.Target{Name: fmt.Sprintf("cp%d", i+1), Groups: []string{engine.ControlPlane}})
	}
	for i := range 5 {
		targets = append(targets, engine.Target{Name: fmt.Sprintf("w%d", i+1), Groups: []string{engine.Workers}})
	}
	return targets, nil
}
