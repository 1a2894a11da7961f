package schemas_test

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/document"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/schemas"
	"upgrader.dev/upgrader/steps"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/remote"
)

var update = flag.Bool("update", false, "write the schemas anew")

// The schemas in the program are those of the Go types.
func TestSchemasAreCurrent(t *testing.T) {
	for name, make := range generators() {
		t.Run(name, func(t *testing.T) {
			got, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("%s is old (go test ./schemas -update writes it anew):\n%s", name, d)
			}
		})
	}
}

func generators() map[string]func() ([]byte, error) {
	return map[string]func() ([]byte, error){
		"plan.schema.json": func() ([]byte, error) {
			c, err := steps.Catalog(steps.Deps{})
			if err != nil {
				return nil, err
			}
			return plan.Schema(c)
		},
		"inventory.schema.json": func() ([]byte, error) {
			return document.Schema("https://upgrader.dev/schemas/inventory.schema.json", "upgrader inventory", reflect.TypeFor[remote.Inventory]())
		},
		"knowledge.schema.json": func() ([]byte, error) {
			return document.Schema("https://upgrader.dev/schemas/knowledge.schema.json", "upgrader knowledge", reflect.TypeFor[knowledge.File]())
		},
	}
}

// Every reference inside a schema leads somewhere, and every file of the package is embedded.
func TestReferencesResolve(t *testing.T) {
	files, err := fs.Glob(schemas.FS, "*.schema.json")
	if err != nil || !slices.Equal(files, []string{"inventory.schema.json", "knowledge.schema.json", "plan.schema.json"}) {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range files {
		data, err := fs.ReadFile(schemas.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		var root map[string]any
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatal(err)
		}
		defs, _ := root["$defs"].(map[string]any)
		for _, to := range references(root) {
			if _, ok := defs[to]; !ok {
				t.Errorf("%s: nothing is defined as %s", name, to)
			}
		}
	}
}

// references lists the names of all definitions referred to.
func references(v any) []string {
	var list []string
	switch x := v.(type) {
	case map[string]any:
		for key, value := range x {
			if to, ok := value.(string); ok && key == "$ref" {
				list = append(list, to[len("#/$defs/"):])
			}
			list = append(list, references(value)...)
		}
	case []any:
		for _, item := range x {
			list = append(list, references(item)...)
		}
	}
	return list
}
