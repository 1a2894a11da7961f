package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/doctor"
)

// page is the report as text: the host with the worst trouble first, and what only follows from something else last.
func (v *visit) page(st style, width int) []string {
	var lines []string
	var hosts []string
	for _, d := range v.Diagnoses {
		if !slices.Contains(hosts, d.Host) {
			hosts = append(hosts, d.Host)
		}
	}
	for _, host := range hosts {
		lines = append(lines, st.bold(oneLine(host)))
		for _, d := range v.Diagnoses {
			if d.Host == host {
				lines = append(lines, ailment(st, d, width)...)
			}
		}
		lines = append(lines, "")
	}
	if v.API != "" {
		lines = append(lines, labelled("", oneLine("the API does not answer at "+v.Cluster+": "+v.API), width)...)
	}
	end := fmt.Sprintf("%s (%s, %s)", v.verdict(), count(v.Hosts, "host"), took(time.Duration(v.Took*float64(time.Second))))
	return append(lines, wrap(end, width)...)
}

func (v *visit) verdict() string {
	causes := 0
	for _, d := range v.Diagnoses {
		if d.After == "" {
			causes++
		}
	}
	switch {
	case len(v.Diagnoses) == 0 && v.Cluster == "":
		return "nothing found; the API was not asked, for want of a kubeconfig"
	case len(v.Diagnoses) == 0:
		return "nothing found"
	case causes < len(v.Diagnoses):
		return fmt.Sprintf("%d to cure, %d that will follow", causes, len(v.Diagnoses)-causes)
	}
	return fmt.Sprintf("%d to cure", causes)
}

// ailment is one diagnosis: what, why, how it was seen, what it is known as, and what to do.
func ailment(st style, d doctor.Diagnosis, width int) []string {
	lines := []string{"  " + stateMark(st, d) + " " + st.bold(oneLine(d.Component)) + "  " + string(d.State)}
	lines = append(lines, below("why    ", oneLine(d.Why), width)...)
	if d.After == "" {
		for i, said := range d.Log {
			label := "       "
			if i == 0 {
				label = "log    "
			}
			lines = append(lines, below(label, excerpt(st, said, d.Known, 3*(width-indented)), width)...)
		}
	}
	if d.Known != nil {
		lines = append(lines, below("known  ", oneLine(d.Known.Title+" ("+strings.Join(d.Known.Sources, ", ")+")"), width)...)
	}
	return append(lines, below("do     ", oneLine(d.Next), width)...)
}

// indented is how far the texts of an ailment stand to the right.
const indented = 11

// below lays a labelled text out under its component. Words that have no end, as logs have them, are broken.
func below(label, text string, width int) []string {
	room := max(width-indented, 20)
	var words []string
	for _, word := range strings.Fields(text) {
		for r := []rune(word); len(r) > 0; {
			n := min(room, len(r))
			words, r = append(words, string(r[:n])), r[n:]
		}
	}
	lines := labelled(label, strings.Join(words, " "), width-2)
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// excerpt is what is shown of a line of a log: its beginning, and what the failure was recognised by.
func excerpt(st style, said string, known *doctor.Known, most int) string {
	text := oneLine(doctor.Readable(said))
	if known == nil {
		return st.cut(text, most)
	}
	seen := oneLine(doctor.Readable(known.Seen))
	if at := strings.Index(text, seen); at+len(seen) > most {
		head := []rune(text[:at])
		return st.cut(string(head[:min(len(head), most/3)]), most/3-1) + " " + st.cut(text[at:], 2*most/3)
	}
	return st.cut(text, most)
}

// stateMark is the sign before a component: it differs by shape, not only by colour.
func stateMark(st style, d doctor.Diagnosis) string {
	switch {
	case d.After != "":
		return st.mark(engine.Pending)
	case d.State == doctor.Unwell:
		return st.paint(lipgloss.Yellow, "!")
	}
	return st.mark(engine.Failed)
}
