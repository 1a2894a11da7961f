//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A contract is one rule that the sandbox pretends: a script, and what of its answer must be the same on a real host.
// It is a file of testdata/contract:
//
//	What it proves, in a sentence or two.
//
//	-- on --          the host, w1 if left out
//	-- given --       a circumstance that is made otherwise on each side, see circumstances
//	-- setup --       what must be so before; its answer is not compared
//	-- script --      what is compared: exit status, standard output, standard error
//	-- cleanup --     puts the host back, run whatever happened
//
//	-- compare --     how answers are made comparable, a rule in a line:
//	                    only RE          lines that do not match are left out
//	                    drop RE          lines that match are left out
//	                    RE => TEXT       replaces; $1 is the first group
//	                    sorted           the order of lines does not count
//	                    ignore stderr    or stdout: not compared at all
//
// All but the script may be left out. A line `include steps/packages/look.sh` is replaced by that file of upgrader, so
// that what is compared is the very script that an upgrade runs. As there, `set -eu` is in force.
type contract struct {
	name, proves, host     string
	given                  string
	setup, script, cleanup string
	rules                  []rule
}

// A rule makes a line of an answer comparable.
type rule struct {
	word string // only, drop, replace, sorted, ignore
	re   *regexp.Regexp
	text string
}

// root is upgrader's source, seen from this package.
const root = "../../.."

var sectionHead = regexp.MustCompile(`^-- ([a-z]+) --$`)

// sections takes a file apart: the comment before the first head is called "".
func sections(text string) map[string]string {
	all, name := map[string]string{}, ""
	for line := range strings.Lines(text) {
		if m := sectionHead.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			name = m[1]
			all[name] = ""
			continue
		}
		all[name] += line
	}
	return all
}

// readContract reads a file of testdata/contract.
func readContract(file string) (contract, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return contract{}, err
	}
	parts := sections(string(data))
	group := filepath.Base(filepath.Dir(file))
	c := contract{
		name:   group + "/" + strings.TrimSuffix(filepath.Base(file), ".txtar"),
		proves: strings.TrimSpace(parts[""]), host: "w1", given: strings.TrimSpace(parts["given"]),
	}
	if on := strings.TrimSpace(parts["on"]); on != "" {
		c.host = on
	}
	if c.proves == "" || parts["script"] == "" {
		return c, fmt.Errorf("%s: it needs a comment that says what it proves, and a script", file)
	}
	for name, into := range map[string]*string{"setup": &c.setup, "script": &c.script, "cleanup": &c.cleanup} {
		if *into, err = included(parts[name]); err != nil {
			return c, fmt.Errorf("%s: %w", file, err)
		}
		delete(parts, name)
	}
	if c.rules, err = readRules(parts["compare"]); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range []string{"", "on", "given", "compare"} {
		delete(parts, name)
	}
	for name := range parts {
		return c, fmt.Errorf("%s: there is no section %q", file, name)
	}
	return c, nil
}

// included replaces the lines `include FILE`.
func included(text string) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		file, ok := strings.CutPrefix(strings.TrimSpace(line), "include ")
		if !ok {
			b.WriteString(line)
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		b.Write(data)
	}
	return b.String(), nil
}

func readRules(text string) ([]rule, error) {
	var rules []rule
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		r, err := readRule(line)
		if err != nil {
			return nil, fmt.Errorf("compare: %q: %w", line, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func readRule(line string) (r rule, err error) {
	pattern := ""
	r.word, pattern, _ = strings.Cut(line, " ")
	from, to, replaces := strings.Cut(line, " => ")
	switch {
	case replaces:
		r.word, pattern, r.text = "replace", from, to
	case r.word == "sorted" && pattern == "":
		return r, nil
	case r.word == "ignore" && (pattern == "stdout" || pattern == "stderr"):
		r.text = pattern
		return r, nil
	case r.word != "only" && r.word != "drop":
		return r, errors.New("want only RE, drop RE, RE => TEXT, sorted, ignore stdout or ignore stderr")
	}
	r.re, err = regexp.Compile(pattern)
	return r, err
}
