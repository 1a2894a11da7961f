package document

import (
	"reflect"
	"strings"
)

// Decode reads a document into a struct by the struct's tags. The error holds every *Fault.
func Decode(file string, data []byte, into any) error { return decode(file, data, into, Parse) }

// Decode is as the function, within these limits.
func (l Limits) Decode(file string, data []byte, into any) error {
	return decode(file, data, into, l.Parse)
}

func decode(file string, data []byte, into any, parse func(string, []byte) (*Value, error)) error {
	v, err := parse(file, data)
	if err != nil && v == nil {
		return err
	}
	faults := &Faults{}
	faults.Join(Pos{File: file}, err)
	faults.Join(Pos{File: file}, v.Decode(into, Hooks{}))
	return faults.Err()
}

// Hooks let a caller have a say in how values are decoded.
type Hooks struct {
	// Expression is called instead of decoding for every scalar that holds an expression, `${{ }}`: the field stays as it is, the entry of
	// a map is zero, and a list goes without the item. Without it the text is decoded as any other.
	Expression func(v *Value, f Field)
}

// Decode reads the value into the struct that into points to. The error holds every *Fault.
func (v *Value) Decode(into any, hooks Hooks) error {
	d := &decoder{hooks: hooks, fields: map[reflect.Type][]Field{}}
	d.value(v, reflect.ValueOf(into).Elem(), Field{})
	return d.faults.Err()
}

type decoder struct {
	hooks  Hooks
	faults Faults
	path   []string // the keys on the way, for faults without a place
	fields map[reflect.Type][]Field
}

// fieldsOf is shallow, once for every type: an inventory has thousands of hosts.
func (d *decoder) fieldsOf(t reflect.Type) []Field {
	list, known := d.fields[t]
	if !known {
		list = shallow(t)
		d.fields[t] = list
	}
	return list
}

// fault records what is wrong with v. Without a place the message names the field.
func (d *decoder) fault(at Pos, hint, format string, args ...any) {
	if at.Line == 0 && len(d.path) > 0 {
		at.File = strings.ReplaceAll(strings.Join(d.path, "."), ".[", "[")
	}
	d.faults.Add(at, hint, format, args...)
}

func (d *decoder) within(key string, f func()) {
	d.path = append(d.path, key)
	f()
	d.path = d.path[:len(d.path)-1]
}

// value decodes v into dst. f is the field that the value belongs to, or the field of the list or map around it.
func (d *decoder) value(v *Value, dst reflect.Value, f Field) {
	if v.Kind == Null {
		d.fault(v.Pos, "give it one or remove the key", "%s has no value", f.describe())
		return
	}
	if dst.Type() == reflect.TypeFor[*Value]() {
		dst.Set(reflect.ValueOf(v))
		return
	}
	if d.open(v) {
		d.hooks.Expression(v, f.of(dst.Type()))
		return
	}
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		d.value(v, dst.Elem(), f)
		return
	}
	if d.custom(v, dst, f) {
		return
	}
	switch dst.Kind() {
	case reflect.Struct:
		d.object(v, dst, f)
	case reflect.Map:
		d.mapping(v, dst, f)
	case reflect.Slice:
		d.list(v, dst, f)
	case reflect.Interface:
		dst.Set(reflect.ValueOf(v.Tree()))
	default:
		d.scalar(v, dst, f)
	}
}

// open says that a value is not decoded, since it holds an expression.
func (d *decoder) open(v *Value) bool {
	return d.hooks.Expression != nil && v.Kind == Scalar && strings.Contains(v.Text, "${{")
}

// of is the same field as it applies to an item of type t.
func (f Field) of(t reflect.Type) Field {
	f.GoType = t
	return f
}

func (f Field) describe() string {
	if f.Name == "" {
		return "the document"
	}
	return quote(f.Name)
}

// custom decodes the types that know how they are written.
func (d *decoder) custom(v *Value, dst reflect.Value, f Field) bool {
	if !dst.CanAddr() {
		return false
	}
	switch p := dst.Addr().Interface().(type) {
	case *Text:
		if d.want(v, Scalar, "text", f) {
			*p = Text{v.Pos, v.Text, v}
			d.enum(v, f)
		}
	case table:
		d.table(v, p, f)
	case Unmarshaler:
		if err := p.UnmarshalValue(v); err != nil {
			d.join(v, err)
		}
	default:
		return d.text(v, p, f)
	}
	return true
}

func (d *decoder) join(v *Value, err error) {
	if len(FaultsOf(err)) > 0 {
		d.faults.Join(v.Pos, err)
		return
	}
	d.fault(v.Pos, "", "%s", err.Error())
}

// want reports a value of the wrong shape.
func (d *decoder) want(v *Value, k Kind, word string, f Field) bool {
	if v.Kind == k {
		return true
	}
	d.fault(v.Pos, "", "%s must be %s, this is %s", f.describe(), word, v.Kind)
	return false
}

func (d *decoder) object(v *Value, dst reflect.Value, f Field) {
	if !d.want(v, Map, "a mapping (key: value)", f) {
		return
	}
	d.place(v, dst)
	fields := d.fieldsOf(dst.Type())
	for _, m := range v.Members {
		i := find(fields, m.Key)
		if i < 0 {
			d.within(m.Key, func() { d.fault(m.At, Suggest(m.Key, names(fields)), "unknown field %s", quote(m.Key)) })
			continue
		}
		d.within(m.Key, func() { d.value(m.Value, dst.FieldByIndex(fields[i].index), fields[i]) })
	}
	for _, f := range fields {
		if v.Lookup(f.Name) == nil {
			d.absent(v, dst.FieldByIndex(f.index), f)
		}
	}
}

// place tells a struct where it is written.
func (d *decoder) place(v *Value, dst reflect.Value) {
	for f := range dst.Type().Fields() {
		if f.Type == posType && f.IsExported() && f.Tag.Get("yaml") == "" {
			dst.FieldByIndex(f.Index).Set(reflect.ValueOf(v.Pos))
		}
	}
}

// absent gives a field that is not written its default.
func (d *decoder) absent(v *Value, dst reflect.Value, f Field) {
	switch {
	case f.Required && dst.IsZero():
		d.within(f.Name, func() { d.fault(v.Pos, "", "%s is missing", f.describe()) })
	case f.Default == "" || strings.Contains(f.Default, "${{") || !dst.IsZero():
	case dst.Kind() == reflect.Slice || dst.Kind() == reflect.Map || dst.Type() == reflect.TypeFor[*Value]():
	default:
		d.within(f.Name, func() { d.value(NewText(v.Pos, f.Default), dst, f) })
	}
}

func find(fields []Field, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

func names(fields []Field) []string {
	list := make([]string, len(fields))
	for i := range fields {
		list[i] = fields[i].Name
	}
	return list
}
