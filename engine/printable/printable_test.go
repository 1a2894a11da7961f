package printable

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile are texts that must reach no terminal as they are.
func hostile() []string {
	return []string{
		"\x1b]8;;http://evil\x07click\x1b]8;;\x07", "\x1b]52;c;eA==\x07", "\x1b[2J\x1b[1;1H", "\u009b31m", "\x9b31m", "\x7f\x00\x08",
		"a\rb", "\u202egnp.exe", "zero\u200bwidth\ufeff\u2060", "\u2028\u2029", "\xff\xfe", "\U000e0041", "\u3164\u115f", strings.Repeat("x", 4<<20),
		strings.Repeat("\u202e", 1<<20),
	}
}

// obeyed returns the first rune of a text that a terminal would not simply draw.
func obeyed(s string) (rune, bool) {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return r, true
		}
	}
	return 0, false
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":      "plain\ttext\n",
		"\x1b]52;c;eA==\x07": `\x1b]52;c;eA==\x07`,
		"a\rb":               `a\rb`,
		"dos\r\nfile\r\r\n":  "dos\nfile\\r\n",
		"\u202egnp.exe":      `\u202egnp.exe`,
		"\x9b31m \xff":       `\x9b31m \xff`,
		"\u009b31m":          `\u009b31m`,
		"grün ✓ 語 हिन्दी עברית 👍🏽": "grün ✓ 語 हिन्दी עברית 👍🏽",
		"zero\u200bwidth\u2028":    `zero\u200bwidth\u2028`,
		"\x00\x7f":                 `\x00\u007f`,
		"w1\ufe00\U000e0100\u2800": `w1\ufe00\udb40\udd00\u2800`, // seen by nobody
		"⚠\ufe0f":                  "⚠\ufe0f",                    // the sign in colour
		"\U000e0041":               `\udb40\udc41`,
		`a \ stays`:                `a \ stays`,
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNothingIsObeyed(t *testing.T) {
	for _, in := range hostile() {
		for _, got := range []string{Text(in), Cut(in, Message), Cut(in, Word), Error(errors.New(in)).Error()} {
			if r, bad := obeyed(got); bad {
				t.Errorf("%.40q: %U came through", in, r)
			}
			if again := Text(got); again != got {
				t.Errorf("%.40q: a second time makes %.40q of %.40q", in, again, got)
			}
		}
	}
}

func TestLine(t *testing.T) {
	if got, want := Line("1.28.15\r\n✓ done\t\x1b", Word), `1.28.15\n✓ done\t\x1b`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for _, in := range append(hostile(), strings.Repeat("語", 100), strings.Repeat("\r\n", 100)) {
		got := Cut(in, Word)
		if len(got) > Word || Cut(got, Word) != got {
			t.Errorf("%.20q: %d bytes, then %q", in, len(got), Cut(got, Word))
		}
	}
	if got, want := Cut("1.28.15"+strings.Repeat("x", 4<<20)+"end", 64), "1.28.15xxxxxxxxxxxxxxx[... 4194314 bytes in all ...]xxxxxxxxend"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A JSON text that was made printable says what it said.
func TestTextOfJSON(t *testing.T) {
	for _, in := range hostile() {
		if !utf8.ValidString(in) {
			continue
		}
		text, err := json.Marshal(map[string]string{"k": in})
		if err != nil {
			t.Fatal(err)
		}
		clean := Text(string(text))
		if r, bad := obeyed(clean); bad {
			t.Errorf("%U came through", r)
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(clean), &back); err != nil || back["k"] != in {
			t.Errorf("%.40q came back as %.40q, %v", in, back["k"], err)
		}
	}
}

type everything struct {
	Text    string
	Pointer *string
	List    []string
	Array   [1]string
	Map     map[string]string
	Keys    map[string]int
	Nested  struct{ Text string }
	More    []*everything
	Any     any
	Data    map[string]string
	Bytes   []byte
	own     string
}

func TestClean(t *testing.T) {
	for _, bad := range hostile() {
		v := everything{
			Text: bad, Pointer: new(bad), List: []string{bad}, Array: [1]string{bad}, Map: map[string]string{"k" + bad: bad}, Keys: map[string]int{bad: 1},
			More: []*everything{nil, {Text: bad}}, Any: map[string]any{bad: []any{bad, 1.0}}, Data: map[string]string{"f": bad}, Bytes: []byte(bad), own: bad,
		}
		v.Nested.Text = bad
		Clean(&v, "Data")
		short, long := Cut(bad, Message), Cut(bad, Document)
		if v.Text != short || *v.Pointer != short || v.List[0] != short || v.Array[0] != short || v.Keys[short] != 1 || v.Nested.Text != short || v.More[1].Text != short {
			t.Errorf("%.20q stays in %.200v", bad, v)
		}
		if v.Map[Cut("k"+bad, Message)] != short || len(v.Map) != 1 || v.Any.(map[string]any)[short].([]any)[0] != short || v.Data["f"] != long {
			t.Errorf("%.20q stays in %.200v", bad, v)
		}
		if string(v.Bytes) != bad || v.own != bad {
			t.Error("bytes and own fields are not ours to change")
		}
	}
}

// What needs no cleaning is left as it is, without a copy.
func TestCleanAllocatesNothingForPlainLists(t *testing.T) {
	small, large := make([]string, 10), make([]string, 10_000)
	count := func(list []string) float64 { return testing.AllocsPerRun(10, func() { Clean(&list) }) }
	if few, many := count(small), count(large); many > few {
		t.Errorf("%v allocations for 10 texts, %v for 10000", few, many)
	}
}

func TestJSONIsCleanedWhenDecoded(t *testing.T) {
	var v struct{ Name string }
	if err := JSON([]byte(`{"name":"a\u001b]52;c;eA==\u0007\u202e"}`), &v); err != nil || v.Name != `a\x1b]52;c;eA==\x07\u202e` {
		t.Errorf("%q, %v", v.Name, err)
	}
	if err := JSON([]byte("{\x1b"), &v); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%v", err)
	}
}

func TestErrorKeepsWhatItWraps(t *testing.T) {
	err := Error(errors.Join(errors.New("\x1b[2J"), io.EOF))
	if !errors.Is(err, io.EOF) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
	if _, wrapped := errors.AsType[*outsideError](Error(io.EOF)); wrapped || Error(nil) != nil {
		t.Error("what is clean is not wrapped")
	}
}

func TestBelt(t *testing.T) {
	dressed := "\x1b[32m✓\x1b[m \x1b[1mbold\x1b[0m \x1b[90mfaint\x1b[m"
	for _, in := range append(hostile(), dressed, "grün 語 👍🏽\n") {
		for _, size := range []int{1, 2, 3, 1 << 30} {
			var out strings.Builder
			belt := Belt{}
			for rest := in[:min(len(in), 1000)]; rest != ""; {
				n := min(size, len(rest))
				out.Write(belt.Pass([]byte(rest[:n])))
				rest = rest[n:]
			}
			if r, bad := obeyed(out.String()); bad {
				t.Errorf("%.40q in pieces of %d: %U came through", in, size, r)
			}
		}
	}
	belt := Belt{Colours: true}
	if got := string(belt.Pass([]byte(dressed))); strings.ReplaceAll(got, `\x1b[0m`, "\x1b[0m") != dressed {
		t.Errorf("colours: %q", got)
	}
	if got := string(belt.Pass([]byte("\x1b[8mhidden\x1b[1A"))); strings.Contains(got, "\x1b") {
		t.Errorf("not a colour: %q", got)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s[:min(len(s), 1000)], 100)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(min(most, 1<<16), 64)
		for _, got := range []string{Text(s), Cut(s, most), string((&Belt{}).Pass([]byte(s)))} {
			if r, bad := obeyed(got); bad && r != utf8.RuneError {
				t.Errorf("%q: %U came through", s, r)
			}
			if Text(got) != got {
				t.Errorf("%q: a second time makes %q of %q", s, Text(got), got)
			}
		}
		if got := Cut(s, most); len(got) > most || Cut(got, most) != got {
			t.Errorf("%d bytes, want at most %d", len(got), most)
		}
	})
}

func BenchmarkCleanPlain(b *testing.B) {
	list := make([]everything, 1000)
	for i := range list {
		list[i] = everything{Text: "kube-system", List: []string{"registry.k8s.io/pause:3.9"}, Map: map[string]string{"app": "shop", "tier": "web"}}
	}
	b.ReportAllocs()
	for b.Loop() {
		Clean(&list)
	}
}
