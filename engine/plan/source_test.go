package plan_test

import (
	"path"
	"testing/fstest"

	"upgrader.dev/upgrader/engine/plan"
)

// loadBundle reads a plan from texts, by their names below dir.
func loadBundle(dir, main string, files plan.Bundle) (*plan.Plan, error) {
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[path.Join(dir, name)] = &fstest.MapFile{Data: data}
	}
	return plan.LoadFS(fsys, path.Join(dir, main))
}

// parse reads a plan of one text.
func parse(text []byte) (*plan.Plan, error) {
	return loadBundle("", "plan.yaml", plan.Bundle{"plan.yaml": text})
}
