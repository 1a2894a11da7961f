package document

import (
	"gopkg.in/yaml.v3"
)

// style is how a scalar is written; it decides where in the file a character of its text stands.
type style int

const (
	plain style = iota
	single
	double
	literal
	folded
)

func styleOf(n *yaml.Node) style {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return double
	case n.Style&yaml.SingleQuotedStyle != 0:
		return single
	case n.Style&yaml.LiteralStyle != 0:
		return literal
	case n.Style&yaml.FoldedStyle != 0:
		return folded
	}
	return plain
}

// At returns the place of the character at this byte offset of the scalar's text, whatever quotes, escapes and line
// breaks stand between. For a text that is written nowhere it is the value's own place.
func (v *Value) At(offset int) Pos {
	if v.src == nil || v.Line == 0 {
		return v.Pos
	}
	w := &walker{src: v.src, col: v.Col - 1, style: v.style}
	w.goTo(v.Line)
	w.enter()
	for i := range v.Text {
		if i >= offset {
			break
		}
		w.step()
	}
	w.settle()
	return w.src.at(w.line, w.col+1)
}

// walker follows the source text of a scalar, one character of its value per step.
type walker struct {
	src    *source
	line   int    // from 1
	text   []rune // of the line
	col    int    // from 0, in characters
	style  style
	indent int // of a block scalar
	owed   int // line breaks of a folded blank that still count as characters of the value
}

func (w *walker) goTo(line int) { w.line, w.text = line, []rune(w.src.line(line)) }

// enter goes from the start of the node to the first character of its value.
func (w *walker) enter() {
	switch w.style {
	case single, double:
		w.col++
	case literal, folded:
		w.goTo(w.line + 1)
		for n := w.line; n <= len(w.src.lines); n++ {
			if row := []rune(w.src.line(n)); lead(row, 0) < len(row) {
				w.indent = lead(row, 0)
				break
			}
		}
		w.col = min(w.indent, lead(w.text, 0))
	}
}

// step passes one character of the value.
func (w *walker) step() {
	if w.owed > 0 {
		w.owed--
		return
	}
	w.settle()
	row := w.text
	if w.style == literal || w.style == folded {
		if w.col >= len(row) {
			w.nextBlockLine()
			return
		}
		w.col++
		return
	}
	if lead(row, w.col) >= len(row) { // only blanks follow: the line is folded
		w.fold()
		return
	}
	switch {
	case w.style == double && row[w.col] == '\\':
		w.col += escapeWidth(row[w.col:])
	case w.style == single && row[w.col] == '\'' && w.col+1 < len(row) && row[w.col+1] == '\'':
		w.col += 2
	default:
		w.col++
	}
}

// settle steps over a line break that is escaped and therefore no character of the value.
func (w *walker) settle() {
	for row := w.text; w.style == double && w.col < len(row) && row[w.col] == '\\' && lead(row, w.col+1) >= len(row); row = w.text {
		if w.line >= len(w.src.lines) {
			return
		}
		w.goTo(w.line + 1)
		w.col = lead(w.text, 0)
	}
}

// fold passes the end of a line and the blanks of the next: one space, or a line break per empty line.
func (w *walker) fold() {
	breaks := 0
	for w.line < len(w.src.lines) {
		w.goTo(w.line + 1)
		breaks++
		row := w.text
		if w.col = lead(row, 0); w.col < len(row) {
			break
		}
	}
	w.owed = max(0, breaks-2)
}

func (w *walker) nextBlockLine() {
	if w.line >= len(w.src.lines) {
		return
	}
	w.goTo(w.line + 1)
	w.col = min(w.indent, lead(w.text, 0))
	for w.style == folded && lead(w.text, 0) >= len(w.text) && w.line < len(w.src.lines) {
		w.goTo(w.line + 1)
		w.col = min(w.indent, lead(w.text, 0))
	}
}

// lead returns the index of the first character from i on that is not blank.
func lead(row []rune, i int) int {
	for i < len(row) && blank(row[i]) {
		i++
	}
	return i
}

// escapeWidth is how many characters an escape of a double-quoted scalar takes (YAML 1.2, chapter 5.7).
func escapeWidth(row []rune) int {
	if len(row) < 2 {
		return 1
	}
	switch row[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
