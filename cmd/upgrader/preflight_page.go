package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/finding"
)

// A group is findings that differ in nothing but their place.
type group struct {
	finding.Finding
	places []string
}

// groups puts together what is the same on many hosts, in the order of the findings.
func groups(all []finding.Finding) []*group {
	var list []*group
	for _, f := range all {
		same := func(g *group) bool {
			return g.Check == f.Check && g.What == f.What && g.Remedy == f.Remedy && g.Severity == f.Severity && (g.Waived == nil) == (f.Waived == nil)
		}
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i].places = append(list[i].places, f.Where)
			continue
		}
		list = append(list, &group{f, []string{f.Where}})
	}
	return list
}

// where names the places, the first few.
func (g *group) where() string {
	const most = 8
	if len(g.places) <= most {
		return strings.Join(g.places, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(g.places[:most], ", "), len(g.places)-most)
}

// page is the report as text, the worst first.
func (r *inspection) page(st style, width int) []string {
	var lines []string
	for _, g := range groups(r.Findings) {
		lines = append(append(lines, g.lines(st, max(width, 40))...), "")
	}
	for _, line := range r.summary() {
		lines = append(lines, wrap(line, max(width, 40))...)
	}
	return lines
}

func (g *group) lines(st style, width int) []string {
	word := strings.ToUpper(string(g.Severity))
	if g.Waived != nil {
		word = "WAIVED"
	}
	lines := []string{severityMark(st, g.Finding) + " " + st.bold(word) + "  " + oneLine(g.Check+"  "+g.where())}
	lines = append(lines, labelled("", oneLine(g.What), width)...)
	for i, seen := range clip(g.Evidence) {
		label := "      "
		if i == 0 {
			label = "seen  "
		}
		lines = append(lines, labelled(label, oneLine(seen), width)...)
	}
	if g.Waived != nil {
		return append(lines, labelled("plan  ", oneLine(fmt.Sprintf("waived up to %s: %s", g.Waived.Until.AddDate(0, 0, -1).Format(time.DateOnly), g.Waived.Reason)), width)...)
	}
	return append(lines, labelled("do    ", oneLine(g.Remedy), width)...)
}

// severityMark is the sign before a finding: it differs by shape, not only by colour.
func severityMark(st style, f finding.Finding) string {
	switch {
	case f.Waived != nil:
		return st.mark(engine.Skipped)
	case f.Severity == finding.Blocker:
		return st.mark(engine.Failed)
	case f.Severity == finding.Warning:
		return st.paint(lipgloss.Yellow, "!")
	}
	return st.mark(engine.Pending)
}

// labelled lays a text out behind a label, broken to the width, its further lines below the first.
func labelled(label, text string, width int) []string {
	const indent = "  "
	var lines []string
	for i, part := range wrap(text, width-len(indent)-len(label)) {
		if i > 0 {
			label = strings.Repeat(" ", len(label))
		}
		lines = append(lines, indent+label+part)
	}
	return lines
}

// clip is the first lines of the evidence, and how many more there are.
func clip(evidence string) []string {
	const most = 12
	if evidence == "" {
		return nil
	}
	lines := strings.Split(evidence, "\n")
	if len(lines) <= most {
		return lines
	}
	return append(lines[:most:most], fmt.Sprintf("... and %d more lines (--output json has them)", len(lines)-most))
}

// summary is the end of the report: how many of each, and what to expect.
func (r *inspection) summary() []string {
	waived := 0
	for _, f := range r.Findings {
		if f.Waived != nil {
			waived++
		}
	}
	var parts []string
	for _, p := range []struct {
		n    int
		noun string
	}{{r.count(finding.Blocker), "blocker"}, {r.count(finding.Warning), "warning"}, {r.count(finding.Note), "note"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.noun))
		}
	}
	if waived > 0 {
		parts = append(parts, fmt.Sprintf("%d waived", waived))
	}
	found := cmp.Or(strings.Join(parts, ", "), "nothing in the way")
	lines := []string{fmt.Sprintf("%s: %s (%s, %s, %s)", oneLine(r.Plan), found, count(len(r.checks), "check"), count(r.Hosts, "host"), took(time.Duration(r.Took*float64(time.Second))))}
	if r.Drain != "" {
		lines = append(lines, oneLine(r.Drain))
	}
	return lines
}
