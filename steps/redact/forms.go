package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// minSecret is the length from which a value, and a form of it, is taken out. Three characters occur by chance in
	// every output, where stars would break what a step reads from it, and hide nothing that could not be guessed at
	// once. Four is the shortest PIN that somebody may have for a password.
	minSecret = 4
	// minLine is the same for one line of a secret that has several: shorter ones are its grammar, as "}" or "done".
	minLine = 6
)

// formsOf returns the ways in which programs print these values.
func formsOf(values []string) []string {
	var forms []string
	for _, v := range values {
		for _, part := range partsOf(v) {
			ways := waysToPrint
			if len(v) > longSecret {
				ways = mainWays
			}
			for _, form := range ways(part) {
				if len(form) >= minSecret {
					forms = append(forms, form)
				}
			}
		}
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// partsOf returns a value and what may be printed of it alone.
func partsOf(v string) []string {
	if len(v) < minSecret {
		return nil
	}
	parts := []string{v}
	if trimmed := strings.TrimSpace(v); trimmed != v && len(trimmed) >= minSecret {
		parts = append(parts, trimmed)
	}
	if strings.ContainsAny(v, "\n\r") {
		for line := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if line = strings.TrimSpace(line); len(line) >= minLine {
				parts = append(parts, line)
			}
		}
	}
	return parts
}

// longSecret is the length from which only the main forms of a value are looked for. The automaton of all would take
// some KiB for each byte, and a key or a kubeconfig has thousands.
const longSecret = 256

// mainWays are those in which programs print a whole file. Forms that write each byte by itself, as %41%42 or 41:42, are
// none of them.
func mainWays(v string) []string {
	ways := []string{v, inJSON(v, true), inJSON(v, false), strings.ReplaceAll(v, `'`, `'\''`), html.EscapeString(v)}
	for _, w := range []string{url.QueryEscape(v), url.PathEscape(v)} {
		ways = append(ways, w, lowerPercent(w))
	}
	small := hex.EncodeToString([]byte(v))
	ways = append(ways, small, strings.ToUpper(small))
	ways = append(ways, linesOf(small, hexLine)...)
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for _, width := range []int{pemLine, mimeLine} {
			ways = append(ways, linesOf(e.EncodeToString([]byte(v)), width)...)
		}
		ways = append(ways, shifted(v, e)...)
	}
	return ways
}

func waysToPrint(v string) []string {
	ways := []string{v}
	ways = append(ways, jsonWays(v)...)
	ways = append(ways, shellWays(v)...)
	ways = append(ways, percentWays(v)...)
	ways = append(ways, markupWays(v)...)
	ways = append(ways, hexWays(v)...)
	ways = append(ways, base64Ways(v)...)
	ways = append(ways, twiceWays(v)...)
	ways = append(ways, byteWays(v)...)
	return append(ways, dumpWays(v)...)
}

// jsonWays are a JSON string's, of one inside another too, and those of Go's %q.
func jsonWays(v string) []string {
	unquoted := func(q string) string { return q[1 : len(q)-1] }
	ways := []string{inJSON(v, true), inJSON(v, false), unquoted(strconv.Quote(v)), unquoted(strconv.QuoteToASCII(v)), inASCII(inJSON(v, false))}
	return append(ways, inJSON(inJSON(v, true), true), inJSON(inJSON(v, false), false), strings.ReplaceAll(inJSON(v, false), "/", `\/`))
}

// inJSON is a text between the quotes of a JSON string.
func inJSON(v string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	_ = e.Encode(v) // a string always can be
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

// inASCII writes what is none as JSON's \u00e4, two of them for a large rune.
func inASCII(v string) string {
	var b strings.Builder
	for _, r := range v {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// shellWays are those of sh -x, of printf %q, of ${x@Q}, and of what people write between double quotes.
func shellWays(v string) []string {
	before := func(special string) string {
		var b strings.Builder
		for i := range len(v) {
			if strings.IndexByte(special, v[i]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(v[i])
		}
		return b.String()
	}
	short := strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`, "\x1b", `\E`, "\a", `\a`, "\b", `\b`, "\v", `\v`, "\f", `\f`, `'`, `\'`, `\`, `\\`)
	dollar := short.Replace(v)
	const special = " \t!\"#$%&'()*,;<=>?@[\\]^`{|}~"
	return []string{
		strings.ReplaceAll(v, `'`, `'\''`), strings.ReplaceAll(v, `'`, `'"'"'`), before(special), before(" \t!\"#$&'()*,;<>?[\\]^`{|}"),
		before(" \t\"#$&'()*;<>?[\\]`|~"), before("\"$`\\"), before(`'"\`), octal(v, true), octal(v, false),
		dollar, octal(dollar, true), octal(dollar, false),
	}
}

// octal writes control characters as \033, and everything that is no ASCII too where the locale knows no other.
func octal(v string, everything bool) string {
	var b strings.Builder
	for i := range len(v) {
		if c := v[i]; c < 0x20 || c == 0x7f || everything && c >= 0x80 {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// percentWays are those of a URL: of a query, a path, a user's password, of jq's @uri and of JavaScript, and every byte.
func percentWays(v string) []string {
	const unreserved = "-_.~"
	user := strings.TrimPrefix(url.UserPassword("", v).String(), ":")
	var ways []string
	for _, w := range []string{url.QueryEscape(v), url.PathEscape(v), user, percent(v, unreserved, true), percent(v, unreserved+"!'()*", true), percent(v, "", false)} {
		ways = append(ways, w, lowerPercent(w))
	}
	return ways
}

func percent(v, keep string, alnum bool) string {
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if alnum && letter || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// lowerPercent writes the digits behind each percent sign small.
func lowerPercent(w string) string {
	b := []byte(w)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// markupWays are those of HTML and XML, and of a YAML string between single quotes.
func markupWays(v string) []string {
	escape := func(double, single string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, double, `'`, single).Replace(v)
	}
	return []string{
		html.EscapeString(v), escape("&quot;", "&#39;"), escape("&quot;", "&#x27;"), escape("&quot;", "&apos;"), escape(`"`, `'`),
		escape("&#34;", "&#39;"), strings.ReplaceAll(v, `'`, `''`),
	}
}

func hexWays(v string) []string {
	small := hex.EncodeToString([]byte(v))
	spaced, colons := fmt.Sprintf("% x", v), strings.ReplaceAll(fmt.Sprintf("% x", v), " ", ":")
	ways := []string{small, spaced, colons}
	ways = append(ways, linesOf(small, hexLine)...)
	for _, w := range slices.Clone(ways) {
		ways = append(ways, strings.ToUpper(w))
	}
	return ways
}

// base64Ways are those of the value, with a newline behind it as echo has it, broken into lines, and of any text that
// contains it: where it stands in that, counted by three, decides which letters show it.
func base64Ways(v string) []string {
	var ways []string
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		raw := e.WithPadding(base64.NoPadding)
		ways = append(ways, e.EncodeToString([]byte(v)), raw.EncodeToString([]byte(v)), e.EncodeToString([]byte(v+"\n")))
		for _, width := range []int{pemLine, mimeLine} {
			ways = append(ways, linesOf(raw.EncodeToString([]byte(v)), width)...)
		}
		ways = append(ways, shifted(v, raw)...)
	}
	return ways
}

// The lengths of lines of xxd -p and of base64; the last is that of the program base64.
const hexLine, pemLine, mimeLine = 60, 64, 76

// shifted are the letters that show a value in the base64 of a longer text, for each place that it may have there. Those
// that hold bits of a neighbour as well are not known.
func shifted(v string, raw *base64.Encoding) []string {
	ways := make([]string, 0, 3)
	for shift := range 3 {
		text := raw.EncodeToString(append(make([]byte, shift), v...))
		first, last := (shift*8+5)/6, (shift+len(v))*8/6
		ways = append(ways, text[first:last])
	}
	return ways
}

// linesOf are the lines of a text that was broken at a width. A short last one is left out: it may be anything.
func linesOf(text string, width int) []string {
	if len(text) <= width {
		return nil
	}
	var lines []string
	for part := range slices.Chunk([]byte(text), width) {
		if len(part) >= minLine {
			lines = append(lines, string(part))
		}
	}
	return lines
}
