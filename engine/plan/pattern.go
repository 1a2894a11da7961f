package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine/document"
)

// A pattern selects hosts: one term, or a list of terms whose hosts are taken together, in the inventory's order.
type pattern struct {
	document.Pos
	terms []term
	texts []document.Text
}

// A term is a name with an optional index or slice, or a label selector.
type term struct {
	name     string
	slice    bool // [i] or [i:j]
	open     bool // [i:j]: may be empty
	from, to int  // to is -1 for "to the end"
	labels   []requirement
}

// A requirement is one part of a label selector: key=value, key!=value, key, !key.
type requirement struct {
	key, value string
	equal, not bool
}

var (
	termSyntax  = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[(?:(\d+)|(\d*):(\d*))\])?$`)
	labelSyntax = regexp.MustCompile(`^(!?)([A-Za-z0-9][A-Za-z0-9._/-]*)(?:(!=|==|=)([A-Za-z0-9._-]*))?$`)
)

// UnmarshalValue reads a pattern or a list of patterns.
func (p *pattern) UnmarshalValue(v *document.Value) error {
	p.Pos = v.Pos
	items := []*document.Value{v}
	faults := &document.Faults{}
	switch v.Kind {
	case document.List:
		items = v.Items
		if len(items) == 0 {
			faults.Add(v.Pos, "name hosts or remove the key", "no hosts are named")
		}
	case document.Scalar:
	default:
		faults.Add(v.Pos, "write hosts: workers, or a list", `"hosts" must be a pattern or a list of patterns, this is %s`, v.Kind)
		return faults.Err()
	}
	for _, item := range items {
		if item.Kind != document.Scalar {
			faults.Add(item.Pos, "", "a host pattern must be text, this is %s", item.Kind)
			continue
		}
		t, err := parseTerm(item.Text)
		if err != nil {
			faults.Add(item.Pos, patternHelp, "%s", err)
			continue
		}
		p.terms = append(p.terms, t)
		var text document.Text
		if err := item.Decode(&text, document.Hooks{}); err != nil {
			return err
		}
		p.texts = append(p.texts, text)
	}
	return faults.Err()
}

const patternHelp = "write a group (workers), one of its hosts (control-plane[0]), a part of it (control-plane[1:]), a host, or labels (zone=a,!gpu)"

// Describe names the type for reference pages and schemas.
func (*pattern) Describe() document.Description {
	text := map[string]any{"type": "string"}
	return document.Description{Name: "host pattern", Schema: map[string]any{
		"anyOf": []any{text, map[string]any{"type": "array", "items": text, "minItems": 1}},
	}}
}

func parseTerm(text string) (term, error) {
	if strings.Contains(text, "${{") {
		return term{}, errors.New("hosts takes no expression")
	}
	if strings.ContainsAny(text, "=!,") {
		return parseSelector(text)
	}
	m := termSyntax.FindStringSubmatch(text)
	if m == nil {
		return term{}, fmt.Errorf("%q is not a host pattern", text)
	}
	t := term{name: m[1], slice: strings.HasSuffix(text, "]"), to: -1}
	switch {
	case !t.slice:
	case m[2] != "":
		t.from, t.to = number(m[2]), number(m[2])+1
	default:
		t.open = true
		t.from = number(m[3])
		if m[4] != "" {
			t.to = number(m[4])
		}
		if t.to >= 0 && t.to <= t.from {
			return term{}, fmt.Errorf("%q selects nothing: its end is not after its start", text)
		}
	}
	return t, nil
}

// number reads digits that a regular expression has seen; more of them than an int holds are as good as the largest.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil && digits != "" {
		return 1 << 30
	}
	return n
}

func parseSelector(text string) (term, error) {
	var t term
	for part := range strings.SplitSeq(text, ",") {
		m := labelSyntax.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil || (m[1] == "!" && m[3] != "") {
			return term{}, fmt.Errorf("%q is not a label selector", text)
		}
		t.labels = append(t.labels, requirement{key: m[2], value: m[4], equal: m[3] != "", not: m[1] == "!" || m[3] == "!="})
	}
	return t, nil
}

func (r requirement) holds(labels map[string]string) bool {
	value, has := labels[r.key]
	if r.equal {
		return (has && value == r.value) != r.not
	}
	return has != r.not
}
