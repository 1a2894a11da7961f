package redact

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strings"
)

// twiceWays are those of a value that was encoded where it was encoded already: a link in a link's query, a page in a page,
// a registry's credentials in its Secret.
func twiceWays(v string) []string {
	ways := []string{url.QueryEscape(url.QueryEscape(v)), url.PathEscape(url.PathEscape(v)), html.EscapeString(html.EscapeString(v))}
	raw := base64.RawStdEncoding
	inner := append(shifted(v, raw), base64.StdEncoding.EncodeToString([]byte(v)))
	for _, w := range inner {
		ways = append(ways, shifted(w, raw)...)
	}
	return ways
}

// byteWays are those of programs that show what is no letter, or every byte, by its number: C and Python, systemd-escape,
// sed l, a list of bytes in Go or JSON, HTML.
func byteWays(v string) []string {
	letters := func(c byte) bool { return isLetter(c) || c == '_' || c == '.' || c == ':' }
	slashed := strings.ReplaceAll(v, `\`, `\\`)
	ways := []string{
		byByte(v, `\x%02x`, nil), byRune(v, `\u%04x`), byRune(v, "&#%d;"), byRune(v, "&#x%x;"),
		strings.ReplaceAll(byByte(strings.ReplaceAll(v, "/", "\x00"), `\x%02x`, letters), `\x00`, "-"),
		byByte(slashed, `\x%02x`, isShown), byByte(strings.ReplaceAll(slashed, `'`, `\'`), `\x%02x`, isShown), strings.ReplaceAll(v, `"`, `""`),
		octal(strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(slashed), true),
	}
	for _, between := range []string{" ", ",", ", "} {
		ways = append(ways, strings.TrimSuffix(byByte(v, "%d"+between, nil), between))
		ways = append(ways, strings.TrimSuffix(byByte(v, "0x%02x"+between, nil), between))
	}
	return append(ways, base32Ways(v)...)
}

// byByte writes the bytes that are not plain as their numbers.
func byByte(v, format string, plain func(c byte) bool) string {
	var b strings.Builder
	for i := range len(v) {
		if plain != nil && plain(v[i]) {
			b.WriteByte(v[i])
		} else {
			fmt.Fprintf(&b, format, v[i])
		}
	}
	return b.String()
}

func byRune(v, format string) string {
	var b strings.Builder
	for _, r := range v {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

func isShown(c byte) bool { return c >= ' ' && c <= '~' }

// base32Ways are the value, and the letters that show it in a longer text, as with base64.
func base32Ways(v string) []string {
	var ways []string
	for shift := range 5 {
		text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(make([]byte, shift), v...))
		first, last := (shift*8+4)/5, (shift+len(v))*8/5
		ways = append(ways, text[first:last])
	}
	return append(ways, base32.StdEncoding.EncodeToString([]byte(v)))
}

// dumpWays are the lines of what xxd, hexdump and od make of the value: its bytes as numbers and, beside them, as letters.
func dumpWays(v string) []string {
	const line, half, shortest = 16, 8, 3
	var ways []string
	for ; len(v) >= shortest; v = v[min(line, len(v)):] {
		part := v[:min(line, len(v))]
		if letters := strings.TrimSpace(dotted(part)); len(letters) >= minLine { // blanks about it may be anybody's
			ways = append(ways, letters)
		}
		pairs := ""
		for i := 0; i < len(part); i += 2 {
			pairs += fmt.Sprintf("%x ", part[i:min(i+2, len(part))])
		}
		ways = append(ways, fmt.Sprintf("% x", part), strings.TrimSpace(pairs), characters(part))
		if len(part) > half {
			ways = append(ways, fmt.Sprintf("% x  % x", part[:half], part[half:]))
		}
	}
	return ways
}

// dotted is what stands beside the numbers: a dot for what is no letter.
func dotted(part string) string {
	b := []byte(part)
	for i, c := range b {
		if !isShown(c) {
			b[i] = '.'
		}
	}
	return string(b)
}

// characters are a line of od -c.
func characters(part string) string {
	var b strings.Builder
	for i := range len(part) {
		if isShown(part[i]) {
			fmt.Fprintf(&b, "   %c", part[i])
		} else {
			fmt.Fprintf(&b, " %03o", part[i])
		}
	}
	return strings.TrimSpace(b.String())
}
