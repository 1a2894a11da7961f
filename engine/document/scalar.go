package document

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (d *decoder) mapping(v *Value, dst reflect.Value, f Field) {
	if !d.want(v, Map, "a mapping (key: value)", f) {
		return
	}
	m := reflect.MakeMapWithSize(dst.Type(), len(v.Members))
	for _, member := range v.Members {
		item := reflect.New(dst.Type().Elem()).Elem()
		f.Name = member.Key
		d.within(member.Key, func() { d.value(member.Value, item, f) })
		m.SetMapIndex(reflect.ValueOf(member.Key).Convert(dst.Type().Key()), item)
	}
	dst.Set(m)
}

func (d *decoder) list(v *Value, dst reflect.Value, f Field) {
	if v.Kind == Scalar {
		d.fault(v.Pos, "write ["+v.Text+"]", "%s must be a list, this is a single value", f.describe())
		return
	}
	if !d.want(v, List, "a list", f) {
		return
	}
	s := reflect.MakeSlice(dst.Type(), len(v.Items), len(v.Items))
	known := s.Slice(0, 0)
	for i, item := range v.Items {
		d.within(index(i), func() { d.value(item, s.Index(i), f) })
		if !d.open(item) {
			known = reflect.Append(known, s.Index(i))
		}
	}
	dst.Set(known)
}

func (d *decoder) table(v *Value, dst table, f Field) {
	if !d.want(v, Map, "a mapping (key: value)", f) {
		return
	}
	for _, m := range v.Members {
		item := dst.add(m.At, m.Key)
		f.Name = m.Key
		d.within(m.Key, func() { d.value(m.Value, item, f) })
	}
}

// text decodes types that read themselves from text. It returns false for all others.
func (d *decoder) text(v *Value, p any, f Field) bool {
	u, ok := p.(encoding.TextUnmarshaler)
	if !ok {
		return false
	}
	if d.want(v, Scalar, "a single value", f) {
		d.enum(v, f)
		if err := u.UnmarshalText([]byte(v.Text)); err != nil {
			d.join(v, err)
		}
	}
	return true
}

// enum reports a word that is not among those allowed.
func (d *decoder) enum(v *Value, f Field) {
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, v.Text) {
		hint := Suggest(v.Text, f.Enum)
		d.fault(v.Pos, hint, "%s is not a value of %s", quote(v.Text), f.describe())
	}
}

// scalar decodes the basic types from the text of the value.
func (d *decoder) scalar(v *Value, dst reflect.Value, f Field) {
	if !d.want(v, Scalar, "a single value", f) {
		return
	}
	d.enum(v, f)
	if err := setScalar(v.Text, dst); err != nil {
		d.fault(v.Pos, "", "%s: %s", f.describe(), err.Error())
	}
}

func setScalar(text string, dst reflect.Value) error {
	if dst.Type() == durationType {
		dur, err := ParseDuration(text)
		dst.SetInt(int64(dur))
		return err
	}
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(text)
	case reflect.Bool:
		b, err := ParseBool(text)
		dst.SetBool(b)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := ParseInt(text)
		if err == nil && dst.OverflowInt(n) {
			err = fmt.Errorf("%s is too large", text)
		}
		dst.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := ParseInt(text)
		if err == nil && (n < 0 || dst.OverflowUint(uint64(n))) {
			err = fmt.Errorf("%s is out of range", text)
		}
		dst.SetUint(uint64(max(0, n))) //nolint:gosec // not negative
		return err
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%s is not a number", quote(text))
		}
		dst.SetFloat(x)
	default:
		return fmt.Errorf("a %s cannot be written in a document", dst.Type())
	}
	return nil
}

// ParseBool reads true or false, and nothing else: YAML's other words for them mean text elsewhere.
func ParseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	switch strings.ToLower(text) {
	case "yes", "on", "y", "true", "1":
		return false, fmt.Errorf("%s is not a bool; write true", quote(text))
	case "no", "off", "n", "false", "0":
		return false, fmt.Errorf("%s is not a bool; write false", quote(text))
	}
	return false, fmt.Errorf("%s is not a bool; write true or false", quote(text))
}

// ParseInt reads a whole number in decimal digits.
func ParseInt(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%s is not a whole number", quote(text))
	}
	return n, nil
}

// ParseDuration reads a duration with its unit: 90s, 15m, 1h30m. It is never negative.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if _, number := strconv.ParseFloat(text, 64); number == nil && text != "0" {
		return 0, fmt.Errorf("%s needs a unit; write %ss or %sm", quote(text), text, text)
	}
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration; write it like 90s, 15m or 1h30m", quote(text))
	}
	if d < 0 {
		return 0, fmt.Errorf("%s is negative", quote(text))
	}
	return d, nil
}

// fromTree makes a Value of plain data.
func fromTree(at Pos, tree any, depth int) (*Value, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", MaxDepth)
	}
	v := &Value{Pos: at}
	switch t := tree.(type) {
	case nil:
		v.Kind = Null
	case string:
		v.Kind, v.Text = Scalar, t
	case bool, int, int64, uint64, float64:
		v.Kind, v.Text = Scalar, fmt.Sprint(t)
	case []any:
		v.Kind = List
		for _, item := range t {
			x, err := fromTree(at, item, depth+1)
			if err != nil {
				return nil, err
			}
			v.Items = append(v.Items, x)
		}
	case map[string]any:
		v.Kind = Map
		for _, key := range slices.Sorted(maps.Keys(t)) {
			x, err := fromTree(at, t[key], depth+1)
			if err != nil {
				return nil, err
			}
			v.Members = append(v.Members, Member{key, at, x})
		}
	default:
		return nil, fmt.Errorf("a %T cannot stand in a document", tree)
	}
	return v, nil
}
