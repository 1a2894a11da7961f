package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/finding"
)

// The report in the form that CI systems read: a suite, a case for every check. What blocks is a failure, what the plan
// waives is skipped, and what only warns is what the case said.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class    string        `xml:"classname,attr"`
		Name     string        `xml:"name,attr"`
		Failure  *junitMessage `xml:"failure,omitempty"`
		Skipped  *junitMessage `xml:"skipped,omitempty"`
		Standard string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func (r *inspection) junit(out io.Writer) error {
	s := junitSuite{Name: "upgrader preflight " + r.Plan, Time: fmt.Sprintf("%.1f", r.Took)}
	for _, check := range r.checks {
		c := r.junitCase(check.Name)
		s.Tests++
		if c.Failure != nil {
			s.Failures++
		}
		if c.Skipped != nil {
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s%s\n", xml.Header, text)
	return err
}

func (r *inspection) junitCase(check string) junitCase {
	area, _, _ := strings.Cut(check, ".")
	c := junitCase{Class: area, Name: check}
	var blocks, waived, others []string
	for _, f := range r.Findings {
		if f.Check != check {
			continue
		}
		text := junitText(f)
		switch {
		case f.Waived != nil:
			waived = append(waived, text+"\n  waived: "+printable.Text(f.Waived.Reason))
		case f.Severity == finding.Blocker:
			blocks = append(blocks, text)
		default:
			others = append(others, string(f.Severity)+": "+text)
		}
	}
	if len(blocks) > 0 {
		c.Failure = &junitMessage{count(len(blocks), "blocker"), strings.Join(blocks, "\n")}
	} else if len(waived) > 0 {
		c.Skipped = &junitMessage{"waived by the plan", strings.Join(waived, "\n")}
	}
	c.Standard = strings.Join(others, "\n")
	return c
}

// junitText is a finding as plain text: XML 1.0 has no place for the control characters that a host may send.
func junitText(f finding.Finding) string {
	text := f.Where + ": " + f.What
	if f.Evidence != "" {
		text += "\n  seen: " + f.Evidence
	}
	return printable.Text(text + "\n  do: " + f.Remedy)
}
