// Package printable makes text from outside safe to show: escaped, so that a terminal obeys nothing in it, and bounded,
// so that it fills no screen and no journal. It is done at the few doors where such text enters, which are the clients of
// the API and of the hosts and whatever decodes their answers, and once more on the way out. It imports the standard
// library only.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// How long text from outside may be, in bytes. Who needs more of it has the log.
const (
	Word     = 128     // what stands in a table: a version, an address, an identity
	Message  = 4 << 10 // a sentence, a reason, an error
	Document = 1 << 20 // a file, the configuration in a ConfigMap
)

// Text makes text safe for a terminal, a log or a page: every control character but newline and tab, every escape
// sequence, every bidirectional or invisible mark and every byte that is not UTF-8 is written out as \x1b or \u202e.
// A carriage return before a newline is left out. What it returns contains nothing that a terminal obeys; making that
// printable again changes nothing. Beyond ASCII the escapes are those of JSON, so that a JSON text says what it said.
func Text(s string) string {
	if isPlain(s) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if !strings.HasPrefix(s, "\r\n") {
			b = appendRune(b, r, s[:size])
		}
		s = s[size:]
	}
	return string(b)
}

// Cut is Text of at most so many bytes. Of what is longer it keeps the head and the tail, and says how long it was.
func Cut(s string, most int) string {
	whole := len(s)
	if whole > 2*most { // what will not be shown need not be looked at
		s = s[:most] + s[whole-most:]
	}
	if s = Text(s); len(s) <= most && whole <= 2*most {
		return s
	}
	note := fmt.Sprintf("[... %d bytes in all ...]", whole)
	room := max(most-len(note), 0)
	head, tail := s[:min(room*2/3, len(s))], s[max(len(s)-room/3, 0):]
	return strings.ToValidUTF8(head, "") + note + strings.ToValidUTF8(tail, "")
}

// Line is Cut for what stands in one line, such as a version in a table: the breaks and tabs in it are written out too, so
// that it cannot look like lines of our own.
func Line(s string, most int) string {
	if strings.ContainsAny(s, "\n\t") { // few words have any, and a cluster has thousands
		s = strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\t", `\t`).Replace(s)
	}
	return Cut(s, most)
}

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// shows tells whether a terminal draws a rune and does nothing else about it.
func shows(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) && !isInvisible(r) }

// isInvisible says whether a rune is a letter or a mark by name and nothing to see. Of those that choose among the forms
// of the sign before them, the two that people write choose between colour and none.
func isInvisible(r rune) bool {
	const blank, plain, coloured = '\u2800', '\ufe0e', '\ufe0f'
	switch r {
	case blank:
		return true
	case plain, coloured:
		return false
	}
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func appendRune(b []byte, r rune, raw string) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Appendf(b, `\x%02x`, raw[0])
	case shows(r):
		return append(b, raw...)
	case r == '\r':
		return append(b, `\r`...)
	case r < ' ':
		return fmt.Appendf(b, `\x%02x`, r)
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
	default:
		return fmt.Appendf(b, `\u%04x`, r)
	}
}
