package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxBytes and MaxNodes are the limits of a document, unless its kind has others; MaxDepth is everybody's. No real runbook
// comes near; a hostile one is refused before it costs anything.
const (
	MaxBytes = 1 << 20
	MaxNodes = 20_000 // after aliases are expanded
	MaxDepth = 64
)

// Limits bound the documents of one kind.
type Limits struct {
	Bytes int
	Nodes int    // values, after aliases are expanded
	Split string // what to do about a document that is larger
}

// Parse reads one YAML document within the limits of a runbook. file is the name that faults show. The error holds every
// *Fault found; the value is not nil even then unless nothing could be made of the text.
func Parse(file string, data []byte) (*Value, error) {
	return Limits{MaxBytes, MaxNodes, "split it into fragments"}.Parse(file, data)
}

// Parse is as the function, within these limits.
func (l Limits) Parse(file string, data []byte) (*Value, error) {
	faults := &Faults{}
	if len(data) > l.Bytes {
		faults.Add(Pos{File: file}, l.Split, "the file has %d bytes; at most %d are read", len(data), l.Bytes)
		return nil, faults.Err()
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	src := newSource(file, string(data))
	if at, what, bad := hostile(src); bad {
		faults.Add(at, "save the file as plain UTF-8 text", "%s", what)
		return nil, faults.Err()
	}
	root, err := decodeNode(src, data)
	if err != nil {
		faults.Join(src.at(1, 1), err)
		return nil, faults.Err()
	}
	b := &builder{src: src, limits: l, faults: faults, open: map[*yaml.Node]bool{}}
	v := b.build(root, 1)
	return v, faults.Err()
}

// decodeNode makes the tree of yaml.v3 and refuses an empty file and a second document.
func decodeNode(src *source, data []byte) (root *yaml.Node, err error) {
	defer func() { // a parser's panic is a fault of the document, not the end of the program
		if r := recover(); r != nil {
			root, err = nil, src.at(1, 1).fault("", fmt.Sprintf("not YAML: %v", r))
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := dec.Decode(&first); errors.Is(err, io.EOF) {
		return nil, src.at(1, 1).fault("", "the document is empty")
	} else if err != nil {
		return nil, syntaxFault(src, data, err)
	}
	if err := dec.Decode(&second); err == nil || !errors.Is(err, io.EOF) {
		at := src.at(max(1, second.Line), max(1, second.Column))
		if err != nil {
			at = src.secondDocument(at)
		}
		return nil, at.fault("put it into a file of its own", "a second document begins here")
	}
	root = first.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, src.at(1, 1).fault("", "the document is empty")
	}
	return root, nil
}

// secondDocument finds the marker of a second document that does not even parse.
func (s *source) secondDocument(otherwise Pos) Pos {
	seen := false
	for i, line := range s.lines {
		if strings.HasPrefix(line, "---") && seen {
			return s.at(i+1, 1)
		}
		blank := strings.TrimSpace(line)
		seen = seen || strings.HasPrefix(line, "---") || (blank != "" && blank[0] != '#' && blank[0] != '%')
	}
	return otherwise
}

// hostile finds the first character that has no business in a configuration file: bytes that are not UTF-8, control
// characters, and those that show text in another order than it is read (CVE-2021-42574, "Trojan Source").
func hostile(src *source) (Pos, string, bool) {
	for n, line := range src.lines {
		for i, r := range line {
			what := ""
			switch {
			case r == utf8.RuneError && !strings.HasPrefix(line[i:], "\ufffd"):
				what = fmt.Sprintf("byte 0x%02x is not UTF-8", line[i])
			case r < ' ' && r != '\t', r == 0x7f, r > 0x7f && r < 0xa0:
				what = fmt.Sprintf("control character U+%04X", r)
			case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0xfeff:
				what = fmt.Sprintf("invisible character U+%04X", r)
			}
			if what != "" {
				return src.at(n+1, column(line, i)), what, true
			}
		}
	}
	return Pos{}, "", false
}
