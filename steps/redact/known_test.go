package redact

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hard has what every way of quoting changes.
const hard = "  p'a\"ss <w>&%/ö+$\\x\tß9  "

// forms are the ways in which a secret may be printed, and in how many stars it may end.
func forms(t *testing.T, v string) map[string]string {
	t.Helper()
	quoted := func(html bool) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	every := ""
	for i := range len(v) {
		every += fmt.Sprintf("%%%02X", v[i])
	}
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	f := map[string]string{
		"raw": v, "trimmed": strings.TrimSpace(v), "JSON": quoted(false), "JSON for HTML": quoted(true), "Go": strconv.Quote(v),
		"shell": "'" + strings.ReplaceAll(v, "'", `'\''`) + "'",
		"query": url.QueryEscape(v), "path": url.PathEscape(v), "small": strings.ToLower(url.QueryEscape("\xff") + every), "every byte": every,
		"HTML": html.EscapeString(v), "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"xxd": fmt.Sprintf("% x", v), "base64": b64(v), "URL base64": base64.RawURLEncoding.EncodeToString([]byte(v)),
		"basic": b64("admin:" + v), "basic 1": b64("admin1:" + v), "basic 2": b64("admin12:" + v), "inside": b64("{\"a\":1," + v + "}"), "echo": b64(v + "\n"),
		"base64 twice": b64(b64(v)), "query twice": url.QueryEscape(url.QueryEscape(v)), "HTML twice": html.EscapeString(html.EscapeString(v)),
		"base32": base32.StdEncoding.EncodeToString([]byte(v)), "inside base32": base32.StdEncoding.EncodeToString([]byte("user:" + v)),
		"CSV": `"` + strings.ReplaceAll(v, `"`, `""`) + `"`, "bytes in Go": fmt.Sprintf("%d", []byte(v)), "bytes in JSON": strings.Join(strings.Fields(fmt.Sprintf("%d", []byte(v))), ","),
	}
	for _, auth := range []string{"u:", "me:", "admin:"} { // as in the Secret of a registry
		f["base64 in base64 of "+auth] = b64(`{"auths":{"r.example":{"auth":"` + b64(auth+v) + `"}}}`)
	}
	for _, c := range []byte(v) {
		f["C"] += fmt.Sprintf(`\x%02x`, c)
	}
	for _, r := range v {
		f["HTML by number"] += fmt.Sprintf("&#%d;", r)
		f["HTML by hex"] += fmt.Sprintf("&#x%x;", r)
	}
	if bash, err := exec.LookPath("bash"); err == nil {
		for name, format := range map[string]string{
			"printf %q": `printf %q "$1"`, "@Q": `printf %s "${1@Q}"`, "sed l": `printf %s "$1" | sed -n 'l 0'`, "systemd-escape": `systemd-escape -- "$1" 2>/dev/null || printf %q "$1"`,
		} {
			out, err := exec.CommandContext(t.Context(), bash, "-c", format, "-", v).Output()
			if err != nil {
				t.Fatal(err)
			}
			f["bash "+name] = string(out)
		}
	}
	return f
}

// waysOfFiles are the forms of what is longer than a password.
func waysOfFiles() []string {
	return []string{"raw", "trimmed", "JSON", "JSON for HTML", "Go", "shell", "query", "path", "HTML", "hex", "HEX", "base64", "URL base64", "basic", "basic 1", "basic 2", "inside", "echo"}
}

// traces are the ways to print each few bytes in a row of a secret: none of them may be left.
func traces(secret string) []string {
	const part = 6
	var all []string
	core := strings.TrimSpace(secret)
	for i := 0; i+part <= len(core); i++ {
		for _, way := range waysToPrint(core[i : i+part]) {
			if len(way) >= part {
				all = append(all, way)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func remains(text string, traces []string) bool {
	return slices.ContainsFunc(traces, func(trace string) bool { return strings.Contains(text, trace) })
}

// Every form of a secret is taken out, wherever the stream is cut into pieces.
func TestEveryFormIsTakenOut(t *testing.T) {
	for _, secret := range []string{hard, "hunter2secret", "correct horse battery staple", "0123456789abcdef0123456789abcdef", strings.Repeat("Long-Secret/", 12), strings.Repeat("Quite-\"Long\" <Secret>/\n", 50)} {
		known, traces := NewKnown(secret), traces(secret)
		for name, form := range forms(t, secret) {
			if len(secret) > longSecret && !slices.Contains(waysOfFiles(), name) {
				continue
			}
			text := "before " + form + " after"
			for _, size := range []int{1, 2, 3, 7, len(text)} {
				got := inPieces(text, size, known.Writer)
				if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, Stars) || remains(got, traces) {
					t.Errorf("%s in pieces of %d: %q", name, size, got)
				}
			}
		}
	}
}

func TestWrappedFormsAreTakenOut(t *testing.T) {
	secret := strings.Repeat("Long-Secret/", 40)
	for name, c := range map[string]struct {
		text  string
		width int
	}{"base64": {base64.StdEncoding.EncodeToString([]byte(secret)), 76}, "PEM": {base64.StdEncoding.EncodeToString([]byte(secret)), 64},
		"xxd": {hex.EncodeToString([]byte(secret)), 60}} {
		wrapped := ""
		for rest := c.text; rest != ""; {
			n := min(c.width, len(rest))
			wrapped, rest = wrapped+rest[:n]+"\n", rest[n:]
		}
		if got := NewKnown(secret).Text(wrapped); strings.Trim(got, "*\n=") != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A dump shows a secret in lines of sixteen bytes, as numbers and as letters.
func TestDumpsAreTakenOut(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for _, secret := range []string{"correct-horse_battery42", "p'a\"ss <w>&%/ö+$\\ß-and-more-of-it", strings.Repeat("0123456789abcdeF", 4)} {
		for _, dump := range []string{"xxd", "xxd -p", "hexdump -C", "hexdump -v -C", "od -c", "od -An -tx1", "od -v -t x1z", "od -A x -t x1"} {
			tool, _, _ := strings.Cut(dump, " ")
			if _, err := exec.LookPath(tool); err != nil {
				continue
			}
			out, err := exec.CommandContext(t.Context(), bash, "-c", `printf %s "$1" | `+dump, "-", secret).Output()
			if err != nil {
				t.Fatal(err)
			}
			got := NewKnown(secret).Text(string(out))
			for line := range strings.Lines(got) {
				if !strings.Contains(line, Stars) && len(line) > len("00000040\n") && !strings.HasPrefix(line, "*") {
					t.Errorf("%s: %q in\n%s", dump, line, got)
				}
			}
			if remains(got, traces(secret)) {
				t.Errorf("%s: something is left in\n%s", dump, got)
			}
		}
	}
}

func TestKnown(t *testing.T) {
	tests := []struct {
		secrets    []string
		text, want string
	}{
		{nil, "hunter2", "hunter2"},
		{[]string{"abc"}, "abc", "abc"},                                                         // too short
		{[]string{"hunter2"}, "xhunter2y hunter", "x***y hunter"},                               // not half of it at the end
		{[]string{"hunter", "hunter2secret"}, "hunter2secret hunter2! hunter", "*** ***2! ***"}, // one begins like the other
		{[]string{"hunter2secret"}, "hunter2secre", "***"},                                      // killed before the end
		{[]string{"hunter2", "r2secret"}, "a hunter2secret b", "a *** b"},                       // overlapping ones
		{[]string{"abcd", "bcde1234"}, "xabcde", "x***e"},
		{[]string{"aaaa"}, "aaaaaaaaa", "***"},
		{[]string{"line one\nline two\n}"}, "line two\n}\nline one", "***\n}\n***"},
		{[]string{" spaced "}, "[spaced]", "[***]"},
	}
	for _, tt := range tests {
		for size := 1; size <= len(tt.text); size++ {
			if got := inPieces(tt.text, size, NewKnown(tt.secrets...).Writer); got != tt.want {
				t.Errorf("%q in %q, pieces of %d: %q", tt.secrets, tt.text, size, got)
			}
		}
	}
}

// inPieces sends a text through a writer in pieces.
func inPieces(text string, size int, by func(io.Writer) Writer) string {
	var b strings.Builder
	w := by(&b)
	for rest := text; rest != ""; {
		n := min(size, len(rest))
		_, _ = w.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	_ = w.Flush()
	return b.String()
}

// What comes out is the text with each run of covered bytes replaced, as a slow and simple look finds them.
func TestKnownIsWhatASlowLookFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[ab]{1,5}`), 1, 4).Draw(t, "words")
		text := rapid.StringMatching(`[abc]{0,40}`).Draw(t, "text")
		covered := make([]bool, len(text))
		for _, w := range words {
			for i := range text {
				if strings.HasPrefix(text[i:], w) {
					for j := range w {
						covered[i+j] = true
					}
				}
			}
		}
		want := ""
		for i := range text {
			switch {
			case !covered[i]:
				want += text[i : i+1]
			case i == 0 || !covered[i-1]:
				want += Stars
			}
		}
		k := Known{newTrie(words)}
		size := rapid.IntRange(1, 41).Draw(t, "size")
		if got := inPieces(text, size, k.Writer); got != want {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}

// What is held back is what may be the beginning of a secret, so that a person sees the rest at once.
func TestOnlyABeginningIsHeldBack(t *testing.T) {
	var b strings.Builder
	w := NewKnown("hunter2secret").Writer(&b)
	_, _ = w.Write([]byte("password: hunt"))
	if b.String() != "password: " {
		t.Errorf("%q", b.String())
	}
	_, _ = w.Write([]byte("s"))
	if b.String() != "password: hunts" {
		t.Errorf("%q", b.String())
	}
}

func BenchmarkKnown(b *testing.B) {
	line := []byte("Nov 20 10:00:00 cp1 kubelet[1234]: I1120 10:00:00.000000    1234 server.go:484] \"Kubelet version\" kubeletVersion=\"v1.28.15\"\n")
	text := bytes.Repeat(line, (32<<10)/len(line))
	for _, secrets := range []int{1, 16} {
		var values []string
		for i := range secrets {
			values = append(values, fmt.Sprintf("%d-correct horse battery staple", i))
		}
		b.Run(fmt.Sprintf("secrets=%d", secrets), func(b *testing.B) {
			w := NewKnown(values...).Writer(discard{})
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = w.Write(text)
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkNewKnown is what each call to a host pays that has a secret of so many bytes.
func BenchmarkNewKnown(b *testing.B) {
	for _, size := range []int{16, 4096} {
		secret := strings.Repeat("Secret-'\"<&/ 12", size)[:size]
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewKnown(secret)
			}
		})
	}
}
