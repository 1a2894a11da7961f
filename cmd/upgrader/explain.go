package main

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

func explainCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KIND|checks]",
		Short: "List the kinds of steps, or describe one; list the checks of preflight",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			catalog, err := offline()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return append(kindNames(catalog), "checks"), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			catalog, err := offline()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				listKinds(c.out, catalog)
				return nil
			}
			if args[0] == "checks" {
				listChecks(c.out, catalog)
				return nil
			}
			k, ok := catalog.Lookup(args[0])
			if !ok {
				return invalid("there is no kind %q; there are %s, and checks", args[0], strings.Join(kindNames(catalog), ", "))
			}
			explain(c.out, k)
			return nil
		},
	}
}

func kindNames(catalog *engine.Catalog) []string {
	var names []string
	for _, k := range catalog.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

func listKinds(out io.Writer, catalog *engine.Catalog) {
	rows := [][]string{{"KIND", "ON", "BRINGS ABOUT"}}
	for _, k := range catalog.Kinds() {
		rows = append(rows, []string{k.Name, string(k.Scope), firstSentence(k.Doc)})
	}
	for _, line := range columns(rows) {
		writeLine(out, line)
	}
}

// listChecks names what preflight looks for, by the names that a plan's waivers use.
func listChecks(out io.Writer, catalog *engine.Catalog) {
	rows := [][]string{{"CHECK", "WAIVABLE", "FINDS"}}
	for _, k := range catalog.Checks() {
		waivable := "yes"
		if k.Firm {
			waivable = "no"
		}
		rows = append(rows, []string{k.Name, waivable, k.Doc})
	}
	for _, line := range columns(rows) {
		writeLine(out, line)
	}
}

func firstSentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}

// explain writes the page of a kind: what it does, and its fields as they are written under `with`.
func explain(out io.Writer, k engine.Kind) {
	place := map[engine.Scope]string{engine.OnHost: "hosts", engine.OnCluster: "the cluster"}[k.Scope]
	writeLine(out, fmt.Sprintf("%s (on %s)\n", k.Name, place))
	for _, line := range wrap(k.Doc, 100) {
		writeLine(out, line)
	}
	fields := document.Fields(reflect.TypeOf(k.New()).Elem())
	if len(fields) == 0 {
		writeLine(out, "\nIt takes no `with`.")
		return
	}
	writeLine(out, "\nwith:")
	explainFields(out, fields, "  ")
}

func explainFields(out io.Writer, fields []document.Field, indent string) {
	for _, f := range fields {
		notes := []string{f.Type}
		if f.Required {
			notes = append(notes, "required")
		}
		if f.Default != "" {
			notes = append(notes, "default "+f.Default)
		}
		if len(f.Enum) > 0 {
			notes = append(notes, "one of "+strings.Join(f.Enum, ", "))
		}
		writeLine(out, fmt.Sprintf("%s%s (%s)", indent, f.Name, strings.Join(notes, "; ")))
		for _, line := range wrap(cmp.Or(f.Doc, "-"), 94-len(indent)) {
			writeLine(out, indent+"    "+line)
		}
		explainFields(out, f.Fields, indent+"  ")
	}
}

// wrap breaks text into lines no wider than asked for, where no single word is.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
