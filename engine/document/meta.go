package document

import (
	"encoding"
	"iter"
	"reflect"
	"strings"
	"time"
)

// A Field is one key of a document, as its struct tags describe it.
type Field struct {
	Name     string
	Type     string // string, bool, int, number, duration, intOrPercent, object, "list of string", "map of string", ...
	Doc      string
	Default  string
	Required bool
	Enum     []string
	Never    bool    // no expression may stand here
	Fields   []Field // of a struct, or of the structs in a list or map
	GoType   reflect.Type

	index []int
}

// Fields describes the keys that a struct takes, in the order of its fields. A type that holds itself is described
// once.
func Fields(t reflect.Type) []Field { return fieldsOf(t, map[reflect.Type]bool{}) }

func fieldsOf(t reflect.Type, open map[reflect.Type]bool) []Field {
	t = deref(t)
	if t.Kind() != reflect.Struct || open[t] || isScalar(t) {
		return nil
	}
	open[t] = true
	defer delete(open, t)
	list := shallow(t)
	for i := range list {
		list[i].Fields = fieldsOf(element(list[i].GoType), open)
	}
	return list
}

// shallow lists a struct's own fields.
func shallow(t reflect.Type) []Field {
	var list []Field
	for f := range t.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			for _, inner := range shallow(deref(f.Type)) {
				inner.index = append([]int{f.Index[0]}, inner.index...)
				list = append(list, inner)
			}
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		list = append(list, Field{
			Name: name, Type: typeName(f.Type, f.Tag.Get("as")), GoType: f.Type, index: f.Index,
			Doc: f.Tag.Get("doc"), Default: f.Tag.Get("default"), Enum: words(f.Tag.Get("enum")),
			Required: f.Tag.Get("required") == "true", Never: f.Tag.Get("expr") == "never",
		})
	}
	return list
}

// Settings are the fields of a struct that are kept as they are written, to be evaluated later: those of type *Value. One that is
// not written has its default, and is left out if it has none. The struct is given by pointer.
func Settings(of any) iter.Seq2[Field, *Value] {
	return func(yield func(Field, *Value) bool) {
		values := reflect.ValueOf(of).Elem()
		for _, f := range shallow(values.Type()) {
			v, kept := values.FieldByIndex(f.index).Interface().(*Value)
			if kept && v == nil && f.Default != "" {
				v = NewText(Pos{}, f.Default)
			}
			if v != nil && !yield(f, v) {
				return
			}
		}
	}
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	all := strings.Split(list, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// element strips lists and maps off a type.
func element(t reflect.Type) reflect.Type {
	t = deref(t)
	if isScalar(t) {
		return t
	}
	if e, ok := tableElem(t); ok {
		return element(e)
	}
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Array {
		return element(t.Elem())
	}
	return t
}

var (
	textType      = reflect.TypeFor[Text]()
	valueType     = reflect.TypeFor[Value]()
	posType       = reflect.TypeFor[Pos]()
	durationType  = reflect.TypeFor[time.Duration]()
	fromTextType  = reflect.TypeFor[encoding.TextUnmarshaler]()
	fromValueType = reflect.TypeFor[Unmarshaler]()
)

// isScalar says that a type is written as one word although it may be a struct.
func isScalar(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t == textType || t == valueType || p.Implements(fromTextType) || p.Implements(fromValueType)
}

// TypeName is the name of a Go type in the words of the plan language, as Field.Type has it.
func TypeName(t reflect.Type) string { return typeName(t, "") }

// typeName is the name of a type in the words of the plan language.
func typeName(t reflect.Type, as string) string {
	t = deref(t)
	if as != "" {
		return as
	}
	if d, ok := reflect.New(t).Interface().(Described); ok {
		return d.Describe().Name
	}
	if e, ok := tableElem(t); ok {
		return "map of " + typeName(e, "")
	}
	switch {
	case t == durationType:
		return "duration"
	case t == valueType:
		return "any value"
	case isScalar(t):
		return "string"
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return "list of " + typeName(t.Elem(), "")
	case reflect.Map:
		return "map of " + typeName(t.Elem(), "")
	case reflect.Bool:
		return "bool"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	case reflect.Struct:
		return "object"
	case reflect.Interface:
		return "any value"
	}
	return "int"
}

// A Described type says how it is called and what JSON Schema it has.
type Described interface{ Describe() Description }

// A Description is the name of a type in the plan language and its JSON Schema.
type Description struct {
	Name   string
	Schema map[string]any
}

// An Unmarshaler decodes itself from a value: for what may be written in more than one shape. The error may hold
// faults with places of their own; another error is shown at the value's place.
type Unmarshaler interface{ UnmarshalValue(v *Value) error }
