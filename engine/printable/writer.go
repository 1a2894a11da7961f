package printable

import (
	"regexp"
	"unicode/utf8"
)

// colours are the signs that dress text, as the program's styles write them: bold, the eight colours in both strengths,
// and their end.
var colours = regexp.MustCompile(`^\x1b\[(?:1|[39][0-7])?m`)

// A Belt is the last look at what goes to a terminal, a pipe or a file, whoever made it: an escape sequence or a mark that
// came so far is written out as Text has it. In JSON that is the same text, as JSON escapes it.
type Belt struct {
	Colours bool   // the reader is a terminal that the program dresses text for
	split   []byte // the beginning of a rune that the next text goes on with
}

// Pass returns what may go out of a text. The beginning of a rune at its end waits for the rest.
func (b *Belt) Pass(p []byte) []byte {
	if len(b.split) == 0 && isPlain(string(p)) {
		return p
	}
	p = append(b.split, p...)
	whole := len(p) - begun(p)
	b.split = append([]byte(nil), p[whole:]...)
	return b.pass(p[:whole])
}

func (b *Belt) pass(p []byte) []byte {
	out := make([]byte, 0, len(p)+16)
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		if r == '\x1b' && b.Colours {
			if colour := colours.Find(p); colour != nil {
				out, p = append(out, colour...), p[len(colour):]
				continue
			}
		}
		out = appendRune(out, r, string(p[:size]))
		p = p[size:]
	}
	return out
}

// begun is how many bytes at the end of p begin a rune and do not end it.
func begun(p []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(p)); n++ {
		if last := p[len(p)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}
