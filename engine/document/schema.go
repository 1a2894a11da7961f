package document

import (
	"encoding/json"
	"reflect"
	"slices"
)

// A SchemaSet makes JSON Schemas (draft 2020-12) of Go types by the tags that Decode goes by.
type SchemaSet struct {
	// Expressions allows `${{ }}` wherever a field does not forbid it. Fields of type *Value always take them.
	Expressions bool
	// Defs are the definitions that Define and the schemas made so far refer to.
	Defs  map[string]any
	names map[reflect.Type]string
}

// Define gives a struct type a name under $defs. Types that hold themselves need one.
func (s *SchemaSet) Define(name string, t reflect.Type) {
	if s.names == nil {
		s.names = map[reflect.Type]string{}
	}
	if s.Defs == nil {
		s.Defs = map[string]any{}
	}
	s.names[deref(t)] = name
	s.Defs[name] = s.object(deref(t))
}

// Of returns the schema of a type.
func (s *SchemaSet) Of(t reflect.Type) map[string]any { return s.of(t, Field{}) }

func (s *SchemaSet) of(t reflect.Type, f Field) map[string]any {
	t = deref(t)
	if name, ok := s.names[t]; ok {
		return map[string]any{"$ref": "#/$defs/" + name}
	}
	if t == valueType { // kept as it is written, so that an expression can be evaluated later
		open := SchemaSet{Expressions: true}
		return open.named(f.Type)
	}
	if d, ok := reflect.New(t).Interface().(Described); ok {
		return s.orExpression(d.Describe().Schema, f)
	}
	if e, ok := tableElem(t); ok {
		return map[string]any{"type": "object", "additionalProperties": s.of(e, f)}
	}
	if t == durationType {
		return s.named("duration")
	}
	if isScalar(t) {
		return enumerated(text(), f)
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return s.orExpression(map[string]any{"type": "array", "items": s.of(t.Elem(), f)}, f)
	case reflect.Map:
		return s.orExpression(map[string]any{"type": "object", "additionalProperties": s.of(t.Elem(), f)}, f)
	case reflect.Struct:
		return s.object(t)
	case reflect.Interface:
		return map[string]any{}
	case reflect.Bool:
		return s.named("bool")
	case reflect.String:
		return enumerated(text(), f)
	case reflect.Float32, reflect.Float64:
		return s.orExpression(map[string]any{"type": "number"}, f)
	}
	return s.named("int")
}

// named returns the schema of a type by its name in the plan language.
func (s *SchemaSet) named(as string) map[string]any {
	switch as {
	case "string":
		return text()
	case "bool":
		return s.orExpression(map[string]any{"type": "boolean"}, Field{})
	case "int":
		return s.orExpression(map[string]any{"type": "integer"}, Field{})
	case "duration":
		return s.orExpression(map[string]any{"type": "string", "pattern": `^(0|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$`}, Field{})
	case "intOrPercent":
		return s.orExpression(IntOrPercent{}.Describe().Schema, Field{})
	case "object":
		return map[string]any{"type": "object"}
	}
	return map[string]any{}
}

// text is what stands where text is wanted: an unquoted 1.30 is a number to an editor and text to us.
func text() map[string]any { return map[string]any{"type": []any{"string", "number"}} }

func enumerated(schema map[string]any, f Field) map[string]any {
	if len(f.Enum) > 0 {
		return map[string]any{"enum": f.Enum}
	}
	return schema
}

func (s *SchemaSet) orExpression(schema map[string]any, f Field) map[string]any {
	if !s.Expressions || f.Never {
		return schema
	}
	return map[string]any{"anyOf": []any{schema, map[string]any{"type": "string", "pattern": `\$\{\{.*\}\}`}}}
}

func (s *SchemaSet) object(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []string{}
	for _, f := range shallow(t) {
		p := s.of(f.GoType, f)
		if f.Doc != "" {
			p["description"] = f.Doc
		}
		if f.Default != "" {
			p["default"] = typed(f)
		}
		props[f.Name] = p
		if f.Required {
			required = append(required, f.Name)
		}
	}
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": props}
	if len(required) > 0 {
		schema["required"] = slices.Sorted(slices.Values(required))
	}
	return schema
}

// typed is the default of a field as JSON has it: 3 and true are not text.
func typed(f Field) any {
	if b, err := ParseBool(f.Default); err == nil && f.Type == "bool" {
		return b
	}
	if n, err := ParseInt(f.Default); err == nil && (f.Type == "int" || f.Type == "intOrPercent") {
		return n
	}
	return f.Default
}

// Schema writes the JSON Schema of one document type, indented, keys in order, with a line break at its end.
func Schema(id, title string, t reflect.Type) ([]byte, error) {
	set := &SchemaSet{}
	return set.Write(id, title, set.Of(t))
}

// Write makes a whole schema document of a root schema and the definitions so far.
func (s *SchemaSet) Write(id, title string, root map[string]any) ([]byte, error) {
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = id
	root["title"] = title
	if len(s.Defs) > 0 {
		root["$defs"] = s.Defs
	}
	out, err := json.MarshalIndent(root, "", "  ")
	return append(out, '\n'), err
}
