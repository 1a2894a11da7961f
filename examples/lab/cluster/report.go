//go:build linux

package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// A Report is what a probe saw. Its JSON is what tests read.
type Report struct {
	Start   time.Time  `json:"start"`
	Seconds float64    `json:"seconds"`
	Targets []Judgment `json:"targets"`
}

// A Judgment is how one target did. A gap is a stretch with nothing but failures: from when the last request before it
// was sent that succeeded, to when the first one after it was; from the start or to the end where there is none.
type Judgment struct {
	Name       string    `json:"name"`
	URL        string    `json:"url"`
	Requests   int       `json:"requests"`
	Failed     int       `json:"failed"`
	LongestGap float64   `json:"longestGap"` // seconds
	WithoutAny float64   `json:"withoutSuccess"`
	Errors     []Failure `json:"errors"`
}

// A Failure is one kind of error: how many, and the first of them.
type Failure struct {
	Kind  string  `json:"kind"`
	Count int     `json:"count"`
	After float64 `json:"after"` // seconds from the start of the probe
	First string  `json:"first"`
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// judge reads the answers of one target, in the order in which they were asked for.
func judge(t Target, start, end time.Time, answers []answer) Judgment {
	j := Judgment{Name: t.Name, URL: t.URL, Requests: len(answers), Errors: []Failure{}}
	last, failing := start, false
	var longest, total time.Duration
	success := func(at time.Time) {
		if failing {
			longest, total = max(longest, at.Sub(last)), total+at.Sub(last)
		}
		last, failing = at, false
	}
	for _, a := range answers {
		if a.err == nil {
			success(a.asked)
			continue
		}
		failing = true
		j.Failed++
		j.note(a.err, a.asked.Sub(start))
	}
	success(end)
	j.LongestGap, j.WithoutAny = seconds(longest), seconds(total)
	return j
}

func (j *Judgment) note(err error, after time.Duration) {
	kind := kindOf(err)
	i := slices.IndexFunc(j.Errors, func(f Failure) bool { return f.Kind == kind })
	if i < 0 {
		i = len(j.Errors)
		j.Errors = append(j.Errors, Failure{Kind: kind, After: seconds(after), First: err.Error()})
	}
	j.Errors[i].Count++
}

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Text writes the report for people, within 80 columns but for the errors' own words.
func (r Report) Text(w io.Writer) {
	fmt.Fprintf(w, "%.1f s, every target asked every %s, over a new connection each time\n\n", r.Seconds, probeEvery)
	fmt.Fprintf(w, "%-10s %9s %8s %13s %17s\n", "TARGET", "REQUESTS", "FAILED", "LONGEST GAP", "WITHOUT SUCCESS")
	for _, j := range r.Targets {
		fmt.Fprintf(w, "%-10s %9d %8d %11.1f s %15.1f s\n", j.Name, j.Requests, j.Failed, j.LongestGap, j.WithoutAny)
	}
	for _, j := range r.Targets {
		for _, f := range j.Errors {
			fmt.Fprintf(w, "\n%s: %d x %s, first after %.1f s:\n  %s\n", j.Name, f.Count, f.Kind, f.After, f.First)
		}
		if j.Failed > 0 && j.Failed == j.Requests && j.Name == "service" {
			fmt.Fprintf(w, "\nThe service never answered: `lab workload` makes it.\n")
		}
	}
}
