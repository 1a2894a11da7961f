package document

import (
	"strings"
)

// Kind is what a Value is.
type Kind string

// The kinds of values.
const (
	Null   Kind = "nothing"
	Scalar Kind = "a single value"
	List   Kind = "a list"
	Map    Kind = "a mapping"
)

// A Value is a document or a part of one, as it is written: scalars are text, mappings keep their order, aliases and
// merges are expanded. The expansion of an alias has the places of what it refers to.
type Value struct {
	Pos
	Kind    Kind
	Text    string   // of a Scalar
	Items   []*Value // of a List
	Members []Member // of a Map
	style   style
}

// A Member is a key of a mapping and its value.
type Member struct {
	Key   string
	At    Pos // of the key
	Value *Value
}

// Lookup returns the value of a key, or nil.
func (v *Value) Lookup(key string) *Value {
	if v == nil {
		return nil
	}
	for _, m := range v.Members {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// Tree returns the value as plain data: map[string]any, []any, string, or nil. NewValue takes it back.
func (v *Value) Tree() any {
	switch v.Kind {
	case Scalar:
		return v.Text
	case List:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			list[i] = item.Tree()
		}
		return list
	case Map:
		tree := make(map[string]any, len(v.Members))
		for _, m := range v.Members {
			tree[m.Key] = m.Value.Tree()
		}
		return tree
	}
	return nil
}

// Map returns a copy of the value in which every scalar is what f made of it. The path of the root is empty; keys are
// joined by dots, items by [index]. f may replace a scalar by any value.
func (v *Value) Map(f func(path string, scalar *Value) *Value) *Value { return v.mapAt("", f) }

func (v *Value) mapAt(path string, f func(string, *Value) *Value) *Value {
	if v.Kind == Scalar {
		return f(path, v)
	}
	out := *v
	out.Items, out.Members = nil, nil
	for i, item := range v.Items {
		out.Items = append(out.Items, item.mapAt(path+index(i), f))
	}
	for _, m := range v.Members {
		m.Value = m.Value.mapAt(strings.TrimPrefix(path+"."+m.Key, "."), f)
		out.Members = append(out.Members, m)
	}
	return &out
}

// NewText makes a scalar that is written nowhere but concerns the place given.
func NewText(at Pos, text string) *Value { return &Value{Pos: at, Kind: Scalar, Text: text} }

// NewValue makes a value of plain data, as Tree gives it. Numbers and booleans become their text.
func NewValue(at Pos, tree any) (*Value, error) { return fromTree(at, tree, 0) }
