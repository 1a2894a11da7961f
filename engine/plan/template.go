package plan

import (
	"strings"

	"upgrader.dev/upgrader/engine/document"
)

// marker begins an expression inside a string.
const marker = "${{"

// A part of a string: literal text, or the text of an expression and where it begins.
type part struct {
	text   string
	expr   bool
	offset int // in the whole string, of the expression's first character
}

// splitText takes a string with expressions apart. A mistake is told with its offset.
func splitText(s string) (parts []part, mistake string, offset int) {
	for at := 0; at < len(s); {
		open := strings.Index(s[at:], marker)
		if open < 0 {
			return append(parts, part{text: s[at:]}), "", 0
		}
		if open > 0 {
			parts = append(parts, part{text: s[at : at+open]})
		}
		begin := at + open + len(marker)
		length := closing(s[begin:])
		if length < 0 {
			return nil, "${{ without its }}", at + open
		}
		inner := s[begin : begin+length]
		lead := len(inner) - len(strings.TrimLeft(inner, " \t\n"))
		text := strings.TrimSpace(inner)
		if text == "" {
			return nil, "the expression between ${{ and }} is empty", at + open
		}
		parts = append(parts, part{text: text, expr: true, offset: begin + lead})
		at = begin + length + len("}}")
	}
	return parts, "", 0
}

// closing finds the }} that ends an expression: not one inside a string of CEL, nor the end of a map in a map.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'':
			end := quoted(s[i:])
			if end < 0 {
				return strings.Index(s, "}}")
			}
			i += end
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if strings.HasPrefix(s[i:], "}}") {
					return i
				}
				return -1
			}
			depth--
		}
	}
	return -1
}

// quoted returns the index of the quote that ends the string at the beginning of s, or -1.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i
		}
	}
	return -1
}

// hasExpression says that a value or anything in it holds an expression.
func hasExpression(v *document.Value) bool {
	found := false
	v.Map(func(_ string, s *document.Value) *document.Value {
		found = found || strings.Contains(s.Text, marker)
		return s
	})
	return found
}
