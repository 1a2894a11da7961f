package plan

import (
	"reflect"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// schemaID is where the schema says it is; nothing is fetched from there.
const schemaID = "https://upgrader.dev/schemas/plan.schema.json"

// Schema writes the JSON Schema of plans and fragments: their own words, and for every kind of the catalog what its
// `with` takes. Editors complete and check by it; Check knows more.
func Schema(c *engine.Catalog) ([]byte, error) {
	set := &document.SchemaSet{}
	set.Define("variable", reflect.TypeFor[variable]())
	set.Define("retry", reflect.TypeFor[retry]())
	set.Define("rollout", reflect.TypeFor[rollout]())
	set.Define("step", reflect.TypeFor[step]())
	var names, rules []any
	settings := &document.SchemaSet{Expressions: true}
	for _, k := range c.Kinds() {
		with := settings.Of(reflect.TypeOf(k.New()))
		with["description"] = k.Doc
		set.Defs[k.Name] = with
		names = append(names, map[string]any{"const": k.Name, "description": k.Doc})
		rules = append(rules, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"uses": map[string]any{"const": k.Name}}, "required": []any{"uses"}},
			"then": map[string]any{"properties": map[string]any{"with": map[string]any{"$ref": "#/$defs/" + k.Name}}},
		})
	}
	names = append(names, map[string]any{"type": "string", "pattern": `^\.\.?/.*\.ya?ml$`, "description": "A fragment, by its path from this file."})
	if s, ok := set.Defs["step"].(map[string]any); ok {
		s["allOf"] = rules
		if props, ok := s["properties"].(map[string]any); ok {
			props["uses"] = map[string]any{"anyOf": names, "description": "What the step does: a kind, or a fragment."}
		}
	}
	return set.Write(schemaID, "upgrader plan", map[string]any{
		"if":   map[string]any{"properties": map[string]any{"kind": map[string]any{"const": "Fragment"}}, "required": []any{"kind"}},
		"then": set.Of(reflect.TypeFor[fragmentFile]()),
		"else": set.Of(reflect.TypeFor[planFile]()),
	})
}
