package document_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/engine/document"
)

type shop struct {
	At     document.Pos
	Name   string                `yaml:"name" required:"true"`
	Open   bool                  `yaml:"open"`
	Size   int                   `yaml:"size" default:"3"`
	Wait   time.Duration         `yaml:"wait" default:"5m"`
	Share  document.IntOrPercent `yaml:"share"`
	Mood   string                `yaml:"mood" enum:"calm,busy"`
	Goods  map[string]string     `yaml:"goods"`
	Days   []string              `yaml:"days"`
	Owner  *owner                `yaml:"owner"`
	Title  document.Text         `yaml:"title"`
	Prices document.Table[int]   `yaml:"prices"`
	Staff  []owner               `yaml:"staff"`
	More   *document.Value       `yaml:"more"`
	common `yaml:",inline"`
}

type common struct {
	Note string `yaml:"note"`
}

type owner struct {
	Name string `yaml:"name" required:"true"`
	Age  int    `yaml:"age"`
}

func TestDecodeReadsEveryShape(t *testing.T) {
	var s shop
	err := document.Decode("shop.yaml", []byte(`# a comment
name: 1.30
open: true
wait: 1h30m
share: 20%
mood: busy
goods: &g {apples: 1.0, "pears": yes}
days: [mon, 0x10]
owner:
  <<: &me {name: Ann, age: 30}
  age: 31
staff: [*me]
title: "t"
prices: {b: 2, a: 1}
more: *g
note: n
`), &s)
	if err != nil {
		t.Fatal(err)
	}
	s.More, s.Title = nil, document.Text{}
	at := s.At
	if at.Line != 2 || at.Col != 1 {
		t.Errorf("the mapping is at %s, want 2:1", at)
	}
	prices := fmt.Sprint(s.Prices[0].Name, s.Prices[0].Value, s.Prices[1].Name, s.Prices[1].Value)
	if prices != "b2a1" {
		t.Errorf("a table must keep its order, got %s", prices)
	}
	s.At, s.Prices = document.Pos{}, nil
	want := shop{Name: "1.30", Open: true, Size: 3, Wait: 90 * time.Minute, Share: document.IntOrPercent{N: 20, Percent: true}, Mood: "busy",
		Goods: map[string]string{"apples": "1.0", "pears": "yes"}, Days: []string{"mon", "0x10"}, Owner: &owner{"Ann", 31},
		Staff: []owner{{"Ann", 30}}, common: common{"n"}}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(shop{}, common{}), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error(diff)
	}
}

// Every fault of a document comes at once, sorted, right to the column.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"typo":            {"name: x\nsiez: 3\n", `f:2:1: unknown field "siez"; did you mean "size"?`},
		"several":         {"open: yes\nsize: 1.5\nwait: 15\n", "f:1:1: \"name\" is missing\nf:1:7: \"open\": \"yes\" is not a bool; write true\nf:2:7: \"size\": \"1.5\" is not a whole number\nf:3:7: \"wait\": \"15\" needs a unit; write 15s or 15m"},
		"enum":            {"name: x\nmood: calmm\n", `f:2:7: "calmm" is not a value of "mood"; did you mean "calm"?`},
		"list":            {"name: x\ndays: mon\n", `f:2:7: "days" must be a list, this is a single value; write [mon]`},
		"null":            {"name:\n", `f:1:1: "name" has no value; give it one or remove the key`},
		"percent":         {"name: x\nshare: 120%\n", `f:2:8: "120%" is more than all; write 100% at most`},
		"duplicate":       {"name: x\nsize: 1\nname: y\n", `f:3:1: key "name" is there twice, first in line 1; remove one of them`},
		"second":          {"name: x\n---\nname: y\n", `f:2:1: a second document begins here; put it into a file of its own`},
		"second, broken":  {"name: x\n---\na: b: c\n", `f:2:1: a second document begins here; put it into a file of its own`},
		"empty":           {"# nothing\n", `f:1:1: the document is empty`},
		"tag":             {"name: !secret x\n", `f:1:7: tag !secret is not allowed; remove it; the field decides the type`},
		"object key":      {"name: x\n{a: b}: c\n", `f:2:1: a key must be a single word; text with a brace or bracket at its start needs quotes`},
		"unknown alias":   {"name: &nam x\nnote: *nan\n", `f:2:7: alias *nan refers to no anchor above it; did you mean "nam"?`},
		"alias in itself": {"name: x\nmore: &a [*a]\n", `f:2:11: alias *a stands inside the very value it refers to`},
		"tab":             {"name: x\nowner:\n\tname: y\n", `f:3:1: a tab cannot indent YAML; indent with spaces`},
		"two colons":      {"name: a: b\n", `f:1:8: a second ": " in one line; put text that holds ": " in quotes, or check the indentation`},
		"open quote":      {"name: x\nnote: \"abc\nsize: 1\n", `f:2:7: a quoted text does not end; close the quote`},
		"indentation":     {"owner:\n    name: x\n  age: 3\n", `f:3:3: this line does not belong to the mapping above it; check the indentation against the lines above`},
		"open bracket":    {"name: x\ndays: [a, b\nsize: 1\n", `f:3:1: a list or mapping in brackets goes on here without a comma; close the bracket or brace, or add the comma`},
		"at sign":         {"name: @x\n", `f:1:7: text cannot begin with "@"; put the text in quotes`},
		"no colon":        {"name: x\nsize\nnote: y\n", `f:2:1: a key without a colon; write key: value`},
		"not UTF-8":       {"name: x\nnote: a\xffb\n", `f:2:8: byte 0xff is not UTF-8; save the file as plain UTF-8 text`},
		"control":         {"name: x\nnote: a\x07b\n", `f:2:8: control character U+0007; save the file as plain UTF-8 text`},
		"trojan":          {"name: \u202ex\n", `f:1:7: invisible character U+202E; save the file as plain UTF-8 text`},
		"in a list":       {"name: x\nstaff:\n  - name: a\n  - {age: 3}\n", `f:4:5: "name" is missing`},
		"anchored":        {"name: &n {}\n", `f:1:10: "name" must be a single value, this is a mapping`},
	} {
		t.Run(name, func(t *testing.T) {
			err := document.Decode("f", []byte(c.in), new(shop))
			got := fmt.Sprint(err)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// What is built to be expensive is refused before it costs anything.
func TestHostileDocumentsAreRefusedQuickly(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, c := range map[string]struct{ in, want string }{
		"alias bomb": {bomb, "more than 20000 values"},
		"deep flow":  {"a: " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000), "deeper than 64"},
		"deep open":  {strings.Repeat("[", 9000), "f:1:"},
		"deep block": {strings.Repeat("- ", 3000) + "x", "deeper than 64"},
		"very deep":  {strings.Repeat("[", 500_000), "f:1:"},
		"large":      {strings.Repeat("x", 1<<20+1), "at most 1048576"},
		"many keys":  {manyKeys(60_000), "more than 20000"},
		"merge bomb": {"a: &a {x: 1}\nb: &b {<<: [" + strings.Repeat("*a,", 30_000) + "*a]}\n", "more than 20000"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := document.Parse("f", []byte(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200v, want %q", err, c.want)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Log(took)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

// The place of a character of a scalar is right through quotes, escapes, folded lines and block styles.
func TestAtFindsTheCharacter(t *testing.T) {
	for name, doc := range map[string]string{
		"plain":             "a: one X two\n",
		"plain, folded":     "a: one\n  and\n  X two\n",
		"plain, gap":        "a: one\n\n\n  and X two\n",
		"single":            "a: 'it''s ''X'' two'\n",
		"double":            `a: "tab\t \"quoted\" \u00e9 X two"` + "\n",
		"double, folded":    "a: \"one\n    two \\\n    three X\"\n",
		"double, unicode":   "a: \"größe X\"\n",
		"literal":           "a: |\n  one\n\n    two\n  three X\n",
		"literal, stripped": "a: |-\n      X one\n",
		"folded":            "a: >\n  one\n  two X\n",
		"anchored":          "a: &x 'one X'\n",
		"in flow":           "{b: 1, a: [\"X\"]}\n",
		"windows":           "b: 1\r\na: |\r\n  one\r\n  X\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			v, err := document.Parse("f", []byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			a := v.Lookup("a")
			if a.Kind == document.List {
				a = a.Items[0]
			}
			got := a.At(strings.IndexByte(a.Text, 'X'))
			for n, line := range strings.Split(doc, "\n") {
				if i := strings.IndexByte(line, 'X'); i >= 0 {
					if col := len([]rune(line[:i])) + 1; got.Line != n+1 || got.Col != col {
						t.Errorf("got %s, want %d:%d of %q in %q", got, n+1, col, a.Text, doc)
					}
				}
			}
		})
	}
}

func TestSnippetPointsAtTheColumn(t *testing.T) {
	err := document.Decode("f", []byte("name: x\nsiez: 3\n"), new(shop))
	got := document.FaultsOf(err)[0].Snippet()
	if want := "    2 | siez: 3\n      | ^\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Plain data decodes by the same rules; its faults, which have no place, name the field.
func TestPlainData(t *testing.T) {
	var s shop
	decode := func(tree map[string]any) error {
		v, err := document.NewValue(document.Pos{}, tree)
		if err != nil {
			t.Fatal(err)
		}
		return v.Decode(&s, document.Hooks{})
	}
	if err := decode(map[string]any{"name": "x", "open": true, "size": float64(7), "days": []any{"mon"}}); err != nil {
		t.Fatal(err)
	}
	if s.Name != "x" || !s.Open || s.Size != 7 || s.Days[0] != "mon" {
		t.Errorf("got %+v", s)
	}
	err := decode(map[string]any{"owner": map[string]any{"nme": "x"}, "name": "x"})
	if want := "owner.name: \"name\" is missing\nowner.nme: unknown field \"nme\"; did you mean \"name\"?"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"node.drain", "node.ready", "packages.install", "approval"}
	for word, want := range map[string]string{
		"node.drian": `did you mean "node.drain"?`, "package.install": `did you mean "packages.install"?`,
		"APPROVAL": `did you mean "approval"?`, "xyz": "known here: approval, node.drain, node.ready, packages.install",
	} {
		if got := document.Suggest(word, known); got != want {
			t.Errorf("Suggest(%s) = %s, want %s", word, got, want)
		}
	}
}

// Looking for the nearest of thousands of names takes shortcuts, and finds the same as without.
func TestNearestIsTheNearest(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("abcé-1")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		word, known := letters.Draw(t, "word"), rapid.SliceOfN(letters, 0, 6).Draw(t, "known")
		want, least := "", 1<<30
		for _, k := range slices.Sorted(slices.Values(known)) {
			if d := plainDistance([]rune(word), []rune(k)); d < least && d <= max(1, (len(k)+1)/3) {
				want, least = k, d
			}
		}
		got, ok := document.Nearest(word, known)
		if got != want || ok != (want != "" && want != word) {
			t.Fatalf("Nearest(%q, %q) = %q %v, want %q", word, known, got, ok, want)
		}
	})
}

// plainDistance is the definition: optimal string alignment.
func plainDistance(x, y []rune) int {
	if len(x) == 0 || len(y) == 0 {
		return len(x) + len(y)
	}
	m, n := len(x)-1, len(y)-1
	cost := 1
	if x[m] == y[n] {
		cost = 0
	}
	d := min(plainDistance(x[:m], y)+1, plainDistance(x, y[:n])+1, plainDistance(x[:m], y[:n])+cost)
	if m > 0 && n > 0 && x[m] == y[n-1] && x[m-1] == y[n] {
		d = min(d, plainDistance(x[:m-1], y[:n-1])+1)
	}
	return d
}

// Many faults of one kind are counted after the first twenty, so that they do not hide the only one of another; and a
// hundred are listed in all.
func TestManyFaultsAreCounted(t *testing.T) {
	faults := &document.Faults{}
	for i := range 3000 {
		faults.Add(document.Pos{File: "f", Line: i + 1, Col: 1}, "", "host %q is not there", fmt.Sprintf("h%d", i))
	}
	faults.Add(document.Pos{File: "f", Line: 9999, Col: 1}, "", "and %d is wrong", 1)
	text := faults.Err().Error()
	for _, want := range []string{`f:20:1: host "h19" is not there`, "f:9999:1: and 1 is wrong", "\nand 2980 more like these: host ... is not there"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n != 21 || !faults.Full() {
		t.Errorf("%d lines, full: %v", n+1, faults.Full())
	}
	mixed := &document.Faults{}
	for i := range 150 {
		mixed.Add(document.Pos{File: "f", Line: i + 1, Col: 1}, "", "%s", fmt.Sprintf("fault %d", i))
	}
	if text := mixed.Err().Error(); !strings.HasSuffix(text, "f:100:1: fault 99\nand 50 more faults") {
		t.Errorf("got %s", text[len(text)-60:])
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: b", "a: &x [*x]", "<<: {a: 1}", "- |\n  x\n", "{a: [b, 'c''d', \"\\u00e9\"]}", "a: *b", "\t", "? a\n: b\n", "a: >\n\n  x\n   y\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := document.Parse("f", data)
		if err != nil {
			for _, fault := range document.FaultsOf(err) {
				_ = fault.Snippet()
			}
		}
		if v == nil {
			return
		}
		v.Map(func(_ string, s *document.Value) *document.Value {
			s.At(len(s.Text) / 2)
			return s
		})
		_ = v.Decode(new(shop), document.Hooks{})
		if back, err := document.NewValue(v.Pos, v.Tree()); err != nil || !cmp.Equal(back.Tree(), v.Tree()) {
			t.Errorf("tree does not come back: %v", err)
		}
	})
}

// The tags that decode a struct describe it too: for the reference page and for editors.
// What is kept as it is written comes with its type and its default, and a field of another type does not come.
func TestSettings(t *testing.T) {
	type pace struct {
		document.Pos
		Tries *document.Value `yaml:"tries" as:"int" default:"3"`
		Pause *document.Value `yaml:"pause" as:"duration" default:"2s"`
		More  *document.Value `yaml:"more"`
		On    document.Text   `yaml:"on" default:"x"`
	}
	var p pace
	if err := document.Decode("p.yaml", []byte("pause: ${{ vars.pause }}"), &p); err != nil {
		t.Fatal(err)
	}
	var got []string
	for f, v := range document.Settings(&p) {
		got = append(got, fmt.Sprintf("%s %s %s %d", f.Name, f.Type, v.Text, v.Line))
	}
	if d := cmp.Diff([]string{"tries int 3 0", "pause duration ${{ vars.pause }} 1"}, got); d != "" {
		t.Error(d)
	}
	for range document.Settings(&p) {
		break // is allowed
	}
}

func TestFieldsAndSchema(t *testing.T) {
	fields := document.Fields(reflect.TypeFor[*shop]())
	var got []string
	for _, f := range fields {
		got = append(got, f.Name+" "+f.Type)
	}
	want := []string{"name string", "open bool", "size int", "wait duration", "share intOrPercent", "mood string", "goods map of string",
		"days list of string", "owner object", "title string", "prices map of int", "staff list of object", "more any value", "note string"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if inner := fields[8].Fields; len(inner) != 2 || inner[0].Name != "name" || !inner[0].Required {
		t.Errorf("the fields of an object belong to it: %+v", inner)
	}
	text, err := document.Schema("https://example.org/shop", "a shop", reflect.TypeFor[shop]())
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Required             []string
		AdditionalProperties bool
		Properties           map[string]map[string]any
	}
	schema.AdditionalProperties = true
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.AdditionalProperties || !cmp.Equal(schema.Required, []string{"name"}) || len(schema.Properties) != len(want) {
		t.Errorf("got %s", text)
	}
	if size := schema.Properties["size"]; size["type"] != "integer" || size["default"] != float64(3) {
		t.Errorf("got %v", size)
	}
}
