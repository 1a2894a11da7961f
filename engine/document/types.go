package document

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Text is a string that knows where it is written. The zero Text is an absent one.
type Text struct {
	Pos
	Text string
	from *Value
}

// String returns the text itself.
func (t Text) String() string { return t.Text }

// At is the place of the character at this byte offset.
func (t Text) At(offset int) Pos {
	if t.from == nil {
		return t.Pos
	}
	return t.from.At(offset)
}

// Value returns the text as the value it was decoded from.
func (t Text) Value() *Value {
	if t.from == nil {
		return NewText(t.Pos, t.Text)
	}
	return t.from
}

// A Table is a mapping whose order and places are kept.
type Table[T any] []Entry[T]

// An Entry is one key of a Table and its value.
type Entry[T any] struct {
	At    Pos // of the key
	Name  string
	Value T
}

// Lookup finds an entry by its name.
func (t Table[T]) Lookup(name string) (Entry[T], bool) {
	for _, e := range t {
		if e.Name == name {
			return e, true
		}
	}
	return Entry[T]{}, false
}

// table is what the decoder sees of a Table.
type table interface {
	elem() reflect.Type
	add(at Pos, name string) reflect.Value
}

func (t *Table[T]) elem() reflect.Type { return reflect.TypeFor[T]() }

func (t *Table[T]) add(at Pos, name string) reflect.Value {
	*t = append(*t, Entry[T]{At: at, Name: name})
	return reflect.ValueOf(&(*t)[len(*t)-1].Value).Elem()
}

func tableElem(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() != reflect.Slice {
		return nil, false
	}
	tab, ok := reflect.New(t).Interface().(table)
	if !ok {
		return nil, false
	}
	return tab.elem(), true
}

// IntOrPercent is a number of things, or a share of them, as Kubernetes writes maxUnavailable: 3 or 20%.
type IntOrPercent struct {
	N       int
	Percent bool
}

// UnmarshalText reads "3" or "20%".
func (i *IntOrPercent) UnmarshalText(text []byte) error {
	digits, percent := strings.CutSuffix(string(text), "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || strings.HasPrefix(digits, "+") {
		return fmt.Errorf("%s is neither a whole number nor a percentage; write 1 or 20%%", quote(string(text)))
	}
	if percent && n > 100 {
		return fmt.Errorf("%s is more than all; write 100%% at most", quote(string(text)))
	}
	*i = IntOrPercent{n, percent}
	return nil
}

// String writes "3" or "20%".
func (i IntOrPercent) String() string {
	if i.Percent {
		return strconv.Itoa(i.N) + "%"
	}
	return strconv.Itoa(i.N)
}

// Of returns how many of total are meant: percentages are rounded down.
func (i IntOrPercent) Of(total int) int {
	if i.Percent {
		return total * i.N / 100
	}
	return i.N
}

// Describe names the type intOrPercent.
func (IntOrPercent) Describe() Description {
	return Description{"intOrPercent", map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 0},
		map[string]any{"type": "string", "pattern": `^(100|[0-9]{1,2})%$`},
	}}}
}
