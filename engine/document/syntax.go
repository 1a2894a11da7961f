package document

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	yamlError   = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)
	yamlAnchor  = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	secondColon = regexp.MustCompile(`:(\s|$)`)
)

// syntaxFault makes a fault of what yaml.v3 says. It names a line at best, and for half of its errors the line where the
// surrounding block began; so the place is found again by how far the parser had read.
func syntaxFault(src *source, data []byte, err error) error {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil {
		return src.at(1, 1).fault("", "not YAML: "+err.Error())
	}
	msg := m[2]
	if a := yamlAnchor.FindStringSubmatch(msg); a != nil {
		return unknownAnchor(src, a[1])
	}
	line := reached(data)
	if n, err := strconv.Atoi(m[1]); err == nil && (strings.HasPrefix(msg, "mapping values") || strings.HasPrefix(msg, "could not find")) {
		line = n
	}
	if strings.HasPrefix(msg, "could not find expected ':'") { // the line after, if the key is in the first one
		for line > 1 && (secondColon.MatchString(src.line(line)) || strings.TrimSpace(src.line(line)) == "") {
			line--
		}
	}
	text := src.line(line)
	if i := strings.IndexByte(leading(text), '\t'); i >= 0 {
		return src.at(line, i+1).fault("indent with spaces", "a tab cannot indent YAML")
	}
	return explain(src, line, text, msg)
}

// explain points at the place in the line and says it in words that name the usual cause.
func explain(src *source, line int, text, msg string) error {
	first := len(leading(text))
	at := src.at(line, column(text, first))
	switch {
	case strings.HasPrefix(msg, "mapping values are not allowed"):
		all := secondColon.FindAllStringIndex(text, -1)
		if len(all) < 2 {
			return misplaced(src, line)
		}
		at = src.at(line, column(text, all[1][0]))
		return at.fault("put text that holds \": \" in quotes, or check the indentation", "a second \": \" in one line")
	case strings.HasPrefix(msg, "did not find expected key"):
		return at.fault("check the indentation against the lines above", "this line does not belong to the mapping above it")
	case strings.HasPrefix(msg, "did not find expected '-'"):
		return at.fault("check the indentation against the lines above", "this line does not belong to the list above it")
	case strings.HasPrefix(msg, "could not find expected ':'"):
		return at.fault(needsColon, "a key without a colon")
	case strings.HasPrefix(msg, "found unexpected end of stream"):
		return openQuote(src).fault("close the quote", "a quoted text does not end")
	case strings.HasPrefix(msg, "found character that cannot start any token"):
		if i := strings.IndexAny(text, "@`%"); i >= 0 {
			return src.at(line, column(text, i)).fault("put the text in quotes", fmt.Sprintf("text cannot begin with %q", text[i:i+1]))
		}
	case strings.HasPrefix(msg, "did not find expected ',' or"):
		return src.at(line, column(text, first)).fault("close the bracket or brace, or add the comma", "a list or mapping in brackets goes on here without a comma")
	}
	return at.fault("", "not YAML: "+msg)
}

const needsColon = "write key: value"

// misplaced is about a line whose key cannot stand where it does: the line above is a key without a colon, or a value
// that this line, being deeper, seems to continue.
func misplaced(src *source, line int) error {
	above := line - 1
	for above > 0 && strings.TrimSpace(src.line(above)) == "" {
		above--
	}
	if text := src.line(above); above > 0 && !secondColon.MatchString(text) {
		return src.at(above, column(text, len(leading(text)))).fault(needsColon, "a key without a colon")
	}
	text := src.line(line)
	return src.at(line, column(text, len(leading(text)))).fault("check the indentation against the lines above", "this line continues the value above it")
}

func leading(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " \t"))] }

func unknownAnchor(src *source, name string) error {
	var known []string
	for _, line := range src.lines {
		for _, word := range strings.Fields(line) {
			if len(word) > 1 && word[0] == '&' {
				known = append(known, strings.Trim(word[1:], ",]}"))
			}
		}
	}
	for n, line := range src.lines {
		if i := strings.Index(line, "*"+name); i >= 0 {
			return src.at(n+1, column(line, i)).fault(Suggest(name, known), fmt.Sprintf("alias *%s refers to no anchor above it", name))
		}
	}
	return src.at(1, 1).fault("", fmt.Sprintf("alias *%s refers to no anchor above it", name))
}

// openQuote finds the last quote that opens a text and is never closed: the likely culprit.
func openQuote(src *source) Pos {
	var open byte
	at := src.at(1, 1)
	for n, line := range src.lines {
		for i := 0; i < len(line); i++ {
			c := line[i]
			switch {
			case open == 0 && c == '#' && (i == 0 || line[i-1] == ' '):
				i = len(line)
			case open == 0 && (c == '"' || c == '\'') && (i == 0 || strings.IndexByte(" [{,:-", line[i-1]) >= 0):
				open, at = c, src.at(n+1, column(line, i))
			case open == '"' && c == '\\':
				i++
			case c == open:
				open = 0
			}
		}
	}
	return at
}

// reached tells the line that the parser was in when it gave up.
func reached(data []byte) int {
	r := &dripping{data: data}
	var n yaml.Node
	_ = yaml.NewDecoder(r).Decode(&n) // the error is known; only how far it came matters
	read := data[:r.read]
	line := 1 + bytes.Count(read, []byte("\n"))
	if bytes.HasSuffix(read, []byte("\n")) && len(read) > 0 { // it looked one character ahead
		line--
	}
	return line
}

// dripping gives a reader one byte at a time, so that what was read is what was needed.
type dripping struct {
	data []byte
	read int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.read >= len(d.data) {
		return 0, io.EOF
	}
	p[0] = d.data[d.read]
	d.read++
	return 1, nil
}
