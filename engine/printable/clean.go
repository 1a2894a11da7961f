package printable

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
)

// Clean makes every string in what v points to printable, and cuts it at the length of a message: in structs, lists and
// maps, keys included. Fields of these names hold documents, and are cut at the length of one. What is not exported is
// left alone, and so are bytes: who decodes them cleans what comes of it.
func Clean(v any, documents ...string) {
	c := cleaner{documents: documents, plain: map[reflect.Type]bool{}, fields: map[reflect.Type][]field{}}
	c.clean(reflect.ValueOf(v).Elem(), Message)
}

// JSON decodes a JSON text from outside into what v points to, and cleans that: escapes of JSON become characters again.
func JSON(data []byte, v any, documents ...string) error {
	if err := json.Unmarshal(data, v); err != nil {
		return Error(err)
	}
	Clean(v, documents...)
	return nil
}

// Base64 decodes a text from outside. What it returns is bytes, which nobody may show before they are cleaned.
func Base64(text string) ([]byte, error) { return base64.StdEncoding.DecodeString(text) }

// A cleaner walks through a value.
type cleaner struct {
	documents []string
	plain     map[reflect.Type]bool // types without a string in them
	fields    map[reflect.Type][]field
}

// A field is one of a struct that has a string in it.
type field struct {
	index    int
	document bool
}

func (c cleaner) clean(v reflect.Value, most int) {
	if c.isPlain(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		c.cleanString(v, most)
	case reflect.Pointer:
		if !v.IsNil() {
			c.clean(v.Elem(), most)
		}
	case reflect.Struct:
		c.cleanStruct(v, most)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			c.clean(v.Index(i), most)
		}
	case reflect.Map:
		c.cleanMap(v, most)
	case reflect.Interface:
		c.cleanAny(v, most)
	}
}

func (c cleaner) cleanString(v reflect.Value, most int) {
	old := v.String()
	if now := Cut(old, most); now != old && v.CanSet() {
		v.SetString(now)
	}
}

func (c cleaner) cleanStruct(v reflect.Value, most int) {
	for _, f := range c.fieldsOf(v.Type()) {
		longest := most
		if f.document {
			longest = Document
		}
		c.clean(v.Field(f.index), longest)
	}
}

func (c cleaner) fieldsOf(t reflect.Type) []field {
	fields, known := c.fields[t]
	if !known {
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && !c.isPlain(f.Type) {
				fields = append(fields, field{i, slices.Contains(c.documents, f.Name)})
			}
		}
		c.fields[t] = fields
	}
	return fields
}

// cleanMap puts clean entries in the place of others. Keys are names, and never documents.
func (c cleaner) cleanMap(v reflect.Value, most int) {
	for _, key := range v.MapKeys() {
		k, e := reflect.New(key.Type()).Elem(), reflect.New(v.Type().Elem()).Elem()
		k.Set(key)
		e.Set(v.MapIndex(key))
		c.clean(k, Message)
		c.clean(e, most)
		if !k.Equal(key) {
			v.SetMapIndex(key, reflect.Value{})
		}
		v.SetMapIndex(k, e)
	}
}

// cleanAny goes on into what decoding JSON without a type makes: text, lists and mappings.
func (c cleaner) cleanAny(v reflect.Value, most int) {
	switch held := v.Interface().(type) {
	case string:
		v.Set(reflect.ValueOf(Cut(held, most)))
	case []any:
		c.clean(reflect.ValueOf(held), most)
	case map[string]any:
		c.clean(reflect.ValueOf(held), most)
	}
}

// isPlain tells whether no value of a type has a string to clean. Types within themselves count as having one.
func (c cleaner) isPlain(t reflect.Type) bool {
	plain, known := c.plain[t]
	if !known {
		c.plain[t] = false
		plain = c.findsNone(t)
		c.plain[t] = plain
	}
	return plain
}

func (c cleaner) findsNone(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Interface:
		return false
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return c.isPlain(t.Elem())
	case reflect.Map:
		return c.isPlain(t.Key()) && c.isPlain(t.Elem())
	case reflect.Struct:
		return len(c.fieldsOf(t)) == 0
	}
	return true
}
