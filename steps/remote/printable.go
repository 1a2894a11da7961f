package remote

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"upgrader.dev/upgrader/steps/redact"
)

// Printable makes text from a host safe for a terminal, a log or a page: every control character but newline and tab,
// every escape sequence, every bidirectional or invisible mark and every byte that is not UTF-8 is written out as \x1b
// or \u202e. What it returns contains nothing that a terminal obeys.
func Printable(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\n' && c != '\t' && (c < 0x20 || c >= 0x7f) {
			return false
		}
	}
	return true
}

const (
	tailLines = 20       // what an error shows of a command's output
	lineCap   = 64 << 10 // bytes of one line in an error, so that a dump of one line does not fill the screen and the journal
)

// lastLines returns the last lines of a command's output as a person would have seen them, escaped: where a progress
// bar wrote over its line with carriage returns, only what was left standing. What looks like a secret is left out: these
// lines are for people.
func lastLines(s string) string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(redact.Likely(s), "\r\n", "\n"), "\r\n\t "), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	shown := make([]string, 0, len(lines))
	for _, l := range lines {
		if i := strings.LastIndexByte(strings.TrimRight(l, "\r"), '\r'); i >= 0 {
			l = l[i+1:]
		}
		l = strings.TrimRight(l, "\r")
		if over := len(l) - lineCap; over > 0 {
			l = fmt.Sprintf("%s [... %d bytes more]", strings.ToValidUTF8(l[:lineCap], ""), over)
		}
		shown = append(shown, Printable(l))
	}
	return strings.Join(shown, "\n")
}
