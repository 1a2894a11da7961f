package document

import (
	"strconv"

	"gopkg.in/yaml.v3"
)

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// builder makes Values of yaml nodes, expanding aliases and merges within the limits.
type builder struct {
	src    *source
	limits Limits
	faults *Faults
	open   map[*yaml.Node]bool // anchors being expanded
	nodes  int
	outer  Pos  // of the alias being expanded that stands in the document itself
	full   bool // a limit was hit: nothing more is built
	row    struct {
		number int
		text   []rune
	} // the line that was last looked at closely
}

func (b *builder) build(n *yaml.Node, depth int) *Value {
	v := &Value{Pos: b.place(n), Kind: Null}
	if b.nodes++; b.exceeded(v.Pos, depth) {
		return v
	}
	b.refuseTag(n, v.Pos)
	switch n.Kind {
	case yaml.AliasNode:
		return b.alias(n, depth)
	case yaml.ScalarNode:
		if n.Tag != "!!null" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			v.Kind, v.Text, v.style = Scalar, n.Value, styleOf(n)
		}
	case yaml.SequenceNode:
		v.Kind = List
		for _, c := range n.Content {
			v.Items = append(v.Items, b.build(c, depth+1))
		}
	case yaml.MappingNode:
		v.Kind = Map
		b.mapping(n, v, depth)
	}
	return v
}

// exceeded reports the first limit that is hit, once.
func (b *builder) exceeded(at Pos, depth int) bool {
	if len(b.open) > 0 {
		at = b.outer
	}
	switch {
	case b.full:
	case b.nodes > b.limits.Nodes:
		b.faults.Add(at, b.limits.Split, "the document has more than %d values, aliases expanded", b.limits.Nodes)
		b.full = true
	case depth > MaxDepth:
		b.faults.Add(at, "", "nested deeper than %d levels", MaxDepth)
		b.full = true
	}
	return b.full
}

func (b *builder) alias(n *yaml.Node, depth int) *Value {
	if b.open[n.Alias] {
		b.faults.Add(b.place(n), "", "alias *%s stands inside the very value it refers to", n.Value)
		return &Value{Pos: b.place(n), Kind: Null}
	}
	if len(b.open) == 0 {
		b.outer = b.place(n)
	}
	b.open[n.Alias] = true
	defer delete(b.open, n.Alias)
	return b.build(n.Alias, depth)
}

func (b *builder) refuseTag(n *yaml.Node, at Pos) {
	if n.Style&yaml.TaggedStyle == 0 {
		return
	}
	switch n.Tag {
	case "!!str", "!!int", "!!bool", "!!map", "!!seq":
	default:
		b.faults.Add(b.src.at(n.Line, n.Column), "remove it; the field decides the type", "tag %s is not allowed", n.Tag)
	}
}

func (b *builder) mapping(n *yaml.Node, v *Value, depth int) {
	var merges []*yaml.Node
	seen := map[string]Pos{}
	for i := 0; i+1 < len(n.Content) && !b.full; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, ok := b.key(key)
		if !ok {
			continue
		}
		at := b.place(key)
		if first, twice := seen[name]; twice {
			b.faults.Add(at, "remove one of them", "key %s is there twice, first in line %d", quote(name), first.Line)
			continue
		}
		seen[name] = at
		built := b.build(value, depth+1)
		if built.Kind == Null && value.Value == "" { // nothing is written: the key is the place to show
			built.Pos = at
		}
		v.Members = append(v.Members, Member{name, at, built})
	}
	for _, m := range merges {
		b.merge(m, v, seen, depth)
	}
	if len(v.Members) > 0 && n.Style&yaml.FlowStyle == 0 && len(merges) == 0 {
		v.Pos = v.Members[0].At
	}
}

// key returns the text of a key, which must be a scalar.
func (b *builder) key(n *yaml.Node) (string, bool) {
	at := b.place(n)
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	b.nodes++
	if n.Kind != yaml.ScalarNode {
		b.faults.Add(at, "text with a brace or bracket at its start needs quotes", "a key must be a single word")
		return "", false
	}
	b.refuseTag(n, at)
	return n.Value, true
}

// merge adds the members of `<<: *anchor` (or of a list of them) that the mapping does not have itself.
func (b *builder) merge(n *yaml.Node, into *Value, seen map[string]Pos, depth int) {
	from := b.build(n, depth+1)
	parts := []*Value{from}
	if from.Kind == List {
		parts = from.Items
	}
	for _, part := range parts {
		if part.Kind != Map {
			if !b.full {
				b.faults.Add(b.place(n), "give it an alias of a mapping: <<: *name", "<< merges mappings only, this is %s", part.Kind)
			}
			return
		}
		for _, m := range part.Members {
			if _, twice := seen[m.Key]; !twice {
				seen[m.Key] = m.At
				into.Members = append(into.Members, m)
			}
		}
	}
}

// place is where the node itself begins, after its anchor and tag if they stand in the same line.
func (b *builder) place(n *yaml.Node) Pos {
	col := max(1, n.Column)
	if n.Kind != yaml.AliasNode && (n.Anchor != "" || n.Style&yaml.TaggedStyle != 0) {
		if b.row.number != n.Line { // one long line may hold thousands of anchors
			b.row.number, b.row.text = n.Line, []rune(b.src.line(n.Line))
		}
		col = skipProperties(b.row.text, col)
	}
	return b.src.at(max(1, n.Line), col)
}

// skipProperties steps over `&anchor` and `!tag` from a column on. It stays where it is when nothing follows them.
func skipProperties(line []rune, col int) int {
	i := col - 1
	for i < len(line) && (line[i] == '&' || line[i] == '!') {
		for i < len(line) && !blank(line[i]) {
			i++
		}
		for i < len(line) && blank(line[i]) {
			i++
		}
	}
	if i >= len(line) || line[i] == '#' {
		return col
	}
	return i + 1
}

func blank(r rune) bool { return r == ' ' || r == '\t' }

// quote shows a text from the document, shortened, with everything unprintable escaped.
func quote(s string) string {
	const long = 60
	if r := []rune(s); len(r) > long {
		s = string(r[:long]) + "..."
	}
	return strconv.Quote(s)
}
