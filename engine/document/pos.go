package document

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Pos is a place in a document. A struct field of this type without a yaml tag receives the place of its mapping.
type Pos struct {
	File string // as the user named it
	Line int    // from 1; 0: no place in particular
	Col  int    // from 1, in characters
	src  *source
}

// String renders the place as file:line:col.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

func (p Pos) fault(hint, msg string) *Fault {
	f := &Fault{File: p.File, Line: p.Line, Col: p.Col, Msg: msg, Hint: hint}
	if p.src != nil {
		f.text = p.src.line(p.Line)
	}
	return f
}

// source is the text of a file by lines, so that faults can point into it.
type source struct {
	name  string
	lines []string // without their ends
}

func newSource(name string, text string) *source {
	return &source{name: name, lines: strings.Split(breaks.Replace(text), "\n")}
}

// breaks makes every line break of YAML 1.1 (and of yaml.v3) the same.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// line returns a line by its number, from 1; "" beyond the end.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

func (s *source) at(line, col int) Pos { return Pos{s.name, line, col, s} }

// column turns a byte offset in a line into a column.
func column(line string, offset int) int {
	return utf8.RuneCountInString(line[:min(offset, len(line))]) + 1
}
