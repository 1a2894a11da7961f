package plan

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// An objectType is a type with named, typed fields, as expressions see vars, versions, host, run and error.
type objectType struct {
	name   string
	fields map[string]*cel.Type
}

// typePrefix keeps the names of types apart from those of variables: host is a variable, plan.host its type.
const typePrefix = "plan."

func (o objectType) cel() *cel.Type { return cel.ObjectType(typePrefix + o.name) }

// An object is a value of such a type.
type object struct {
	typ    string
	fields map[string]ref.Val
}

// ConvertToNative refuses: objects do not leave expressions.
func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s is an object, not a value; name one of its fields", o.typ)
}

// ConvertToType knows only the type itself.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return cel.ObjectType(typePrefix + o.typ)
	}
	return types.NewErr("%s cannot be converted to %s", o.typ, t.TypeName())
}

// Equal compares field by field.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	if !ok || p.typ != o.typ || len(p.fields) != len(o.fields) {
		return types.False
	}
	for name, value := range o.fields {
		if q, ok := p.fields[name]; !ok || value.Equal(q) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type is the object's type.
func (o *object) Type() ref.Type { return cel.ObjectType(typePrefix + o.typ) }

// Value is the object itself: only the provider looks inside.
func (o *object) Value() any { return o }

// provider tells the type checker and the interpreter about object types.
type provider struct {
	*types.Registry
	objects map[string]objectType
}

func newProvider(objects ...objectType) (*provider, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	p := &provider{registry, map[string]objectType{}}
	for _, o := range objects {
		p.objects[typePrefix+o.name] = o
	}
	return p, nil
}

// FindStructType finds an object type by its name.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if o, ok := p.objects[name]; ok {
		return types.NewTypeTypeWithParam(o.cel()), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames lists the fields of an object type.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	o, ok := p.objects[name]
	if !ok {
		return p.Registry.FindStructFieldNames(name)
	}
	return sortedKeys(o.fields), true
}

// FindStructFieldType finds a field of an object type and how to read it.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	o, ok := p.objects[name]
	if !ok {
		return p.Registry.FindStructFieldType(name, field)
	}
	t, ok := o.fields[field]
	if !ok {
		return nil, false
	}
	read := func(target any) (any, error) {
		obj, ok := target.(*object)
		if !ok || obj.fields[field] == nil {
			return nil, fmt.Errorf("%s.%s is not known", name, field)
		}
		return obj.fields[field], nil
	}
	return &types.FieldType{Type: t, IsSet: func(any) bool { return true }, GetFrom: read}, true
}
