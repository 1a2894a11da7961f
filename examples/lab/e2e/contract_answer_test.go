//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// An answer is what a script gave on one of the two sides.
type answer struct {
	exit           int
	stdout, stderr string
}

// everywhere are the replacements that every contract needs: what names this lab or that sandbox and no rule.
func everywhere() []rule {
	var all []rule
	for _, r := range [][2]string{
		{`https?://[^ /]+/core:/`, "REPOSITORY/core:/"},
		{`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`, "UUID"},
		{`\b[0-9a-f]{64}\b`, "SHA256"},
		{`\b(10\.77|198\.18)\.[0-9]+\.[0-9]+\b`, "ADDRESS"},
		{`[ \r]+$`, ""},
	} {
		all = append(all, rule{word: "replace", re: regexp.MustCompile(r[0]), text: r[1]})
	}
	return all
}

// comparable is an answer as text, with everything taken out that may differ.
func (a answer) comparable(rules []rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "exit status %d\n", a.exit)
	for _, stream := range []struct{ name, text string }{{"stdout", a.stdout}, {"stderr", a.stderr}} {
		ignored := slices.ContainsFunc(rules, func(r rule) bool { return r.word == "ignore" && r.text == stream.name })
		if text := normal(stream.text, rules); text != "" && !ignored {
			fmt.Fprintf(&b, "%s:\n%s", stream.name, text)
		}
	}
	return b.String()
}

// normal applies rules to every line.
func normal(text string, rules []rule) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line, keep := normalLine(line, append(everywhere(), rules...)); keep {
			lines = append(lines, "  "+line+"\n")
		}
	}
	if slices.ContainsFunc(rules, func(r rule) bool { return r.word == "sorted" }) {
		slices.Sort(lines)
	}
	return strings.Join(lines, "")
}

func normalLine(line string, rules []rule) (string, bool) {
	for _, r := range rules {
		switch r.word {
		case "replace":
			line = r.re.ReplaceAllString(line, r.text)
		case "only":
			if !r.re.MatchString(line) {
				return "", false
			}
		case "drop":
			if r.re.MatchString(line) {
				return "", false
			}
		}
	}
	return line, true
}
