package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

var knownField = regexp.MustCompile(`^(vars|versions)\.([A-Za-z_][A-Za-z0-9_]*)`)

// fillIn replaces vars.NAME and versions.NAME in the text of what is left of an expression by their values. CEL's own
// reduction leaves them where they stand inside an index, as in facts[vars.key]. The text is CEL's own rendering, so a
// name is written without blanks.
func fillIn(text string, act map[string]any) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\'' {
			if end := quoted(text[i:]); end > 0 {
				b.WriteString(text[i : i+end+1])
				i += end
				continue
			}
		}
		if m := knownField.FindStringSubmatch(text[i:]); m != nil && !continues(text, i) {
			if o, ok := act[m[1]].(*object); ok {
				if lit, ok := literal(o.fields[m[2]]); ok {
					b.WriteString(lit)
					i += len(m[0]) - 1
					continue
				}
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// continues says that the name at i is the end of a longer one.
func continues(text string, i int) bool {
	if i == 0 {
		return false
	}
	c := text[i-1]
	return c == '.' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// literal writes a value as CEL.
func literal(v ref.Val) (string, bool) {
	switch x := v.(type) {
	case types.String:
		return strconv.Quote(string(x)), true
	case types.Int, types.Bool:
		return fmt.Sprint(x.Value()), true
	case types.Duration:
		return "duration(" + strconv.Quote(x.String()) + ")", true
	case traits.Lister:
		var items []string
		for it := x.Iterator(); it.HasNext() == types.True; {
			item, ok := literal(it.Next())
			if !ok {
				return "", false
			}
			items = append(items, item)
		}
		return "[" + strings.Join(items, ", ") + "]", true
	}
	return "", false
}
