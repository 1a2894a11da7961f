// Package hostile has texts that attack a terminal, and finds what of them came through: for the tests of everything that
// takes text from outside. It imports the standard library only.
package hostile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Texts are what must reach no terminal as it is: links and clipboards (OSC 8 and 52), screens that are cleared (CSI), C1
// and DEL, returns and backspaces, bidirectional and invisible marks, what is not UTF-8, and 4 MiB of anything.
func Texts() []string {
	return []string{
		"\x1b]8;;http://evil\x07click\x1b]8;;\x07", "\x1b]52;c;eA==\x07", "\x1b[2J\x1b[1;1H", "\u009b31m", "\x9b31m", "\x7f\x00\x08",
		"a\rb", "\u202egnp.exe", "zero\u200bwidth\ufeff\u2060", "\u2028\u2029", "\xff\xfe", "\U000e0041", "\u3164\u115f", "\U000e0100\ufe00",
		strings.Repeat("x", 4<<20), strings.Repeat("\u202e", 4<<20/3),
	}
}

// Text has everything of Texts that is short, between two words.
func Text() string {
	all := Texts()
	return "evil" + strings.Join(all[:len(all)-2], " ") + "end"
}

// Obeyed returns the first thing in a text that a terminal would do something about, or hide.
func Obeyed(text string) (what string, found bool) {
	for i, r := range text {
		if r == utf8.RuneError && text[i] != "\ufffd"[0] {
			return fmt.Sprintf("the byte %#x", text[i]), true
		}
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return fmt.Sprintf("%U", r), true
		}
	}
	return "", false
}

// Check fails a test for each text to be reached from v that a terminal would do something about, or hide, or that has more than
// most bytes; 0 sets no bound.
func Check(t testing.TB, v any, most int) {
	t.Helper()
	Walk(v, func(path, text string) {
		if what, found := Obeyed(text); found || most > 0 && len(text) > most {
			t.Errorf("%s: %s in %d bytes", path, what, len(text))
		}
	})
}

// Walk calls see with every string that can be reached from v, exported or not, and the way to it.
func Walk(v any, see func(path, text string)) {
	walk(reflect.ValueOf(v), "", 0, see)
}

// deepest keeps a walk out of structures that turn in circles.
const deepest = 24

func walk(v reflect.Value, path string, depth int, see func(path, text string)) {
	if depth > deepest {
		return
	}
	switch v.Kind() {
	case reflect.String:
		see(path, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), path, depth+1, see)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, depth+1, see)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1, see)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walk(key, path+"[key]", depth+1, see)
			walk(v.MapIndex(key), path+"[]", depth+1, see)
		}
	}
}

// Fill sets every exported field below what v points to: texts to text, lists and maps to one entry, numbers to 1.
func Fill(v any, text string) { fill(reflect.ValueOf(v).Elem(), text, 0) }

func fill(v reflect.Value, text string, depth int) {
	if depth > deepest || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text, depth+1)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), text, depth+1)
		}
	case reflect.Map:
		key, entry := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text, depth+1)
		fill(entry, text, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, entry)
	}
}
