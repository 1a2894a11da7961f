package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

// What a run has to tell is asked for by name, never taken for false and never an error; once it is known, the step is
// made of it; and what was journaled is used again.
func TestBind(t *testing.T) {
	g := expand(t, header+`
steps:
  - {uses: version.skew}
  - {id: cond, uses: cluster.healthy, when: "facts['a'] == '1' || versions.to == '2'"}
  - {id: has, uses: cluster.healthy, when: "'a' in facts"}
  - {id: open, uses: approval, with: {message: "run ${{ run.id }}: ${{ facts['a'] + facts['b'] }}"}}
  - {id: typed, uses: node.drain, hosts: c1, with: {limit: "${{ int(facts['a']) + 1 }}"}}
  - {id: late, uses: wait, with: {for: "${{ facts['a'] }}h"}}
  - {id: never, uses: cluster.healthy, when: versions.to == '2'}
`, plan.Options{})
	b := plan.NewBinder(catalog(t))
	for name, c := range map[string]struct {
		node   string
		facts  engine.Facts
		before map[string]string
		want   string
	}{
		"condition unknown":       {"cond", nil, nil, "unknown a"},
		"condition true":          {"cond", engine.Facts{"a": "1"}, nil, `step map[facts["a"] == "1":true]`},
		"condition false":         {"cond", engine.Facts{"a": "2"}, nil, "skip"},
		"condition as before":     {"cond", engine.Facts{"a": "2"}, map[string]string{`facts["a"] == "1"`: "true"}, `step map[facts["a"] == "1":true]`},
		"presence unknown":        {"has", nil, nil, "unknown a"},
		"presence":                {"has", engine.Facts{"a": ""}, nil, `step map["a" in facts:true]`},
		"first missing fact":      {"open", engine.Facts{"run.id": "r"}, nil, "unknown a"},
		"second missing fact":     {"open", engine.Facts{"run.id": "r", "a": "A"}, nil, "unknown b"},
		"run unknown":             {"open", engine.Facts{"a": "A", "b": "B"}, nil, "unknown run.id"},
		"text":                    {"open", engine.Facts{"a": "A", "b": "B", "run.id": "r"}, nil, `step map[facts["a"] + facts["b"]:AB run.id:r]`},
		"typed":                   {"typed@c1", engine.Facts{"a": "4"}, nil, `step map[int(facts["a"]) + 1:5]`},
		"typed, but not a number": {"typed@c1", engine.Facts{"a": "x"}, nil, "error typed@c1: with.limit"},
		"validated at last":       {"late", engine.Facts{"a": "48"}, nil, "error late: wait: for is longer than a day"},
		"a fact is no expression": {"open", engine.Facts{"a": "${{ run.id }}", "b": "", "run.id": "r"}, nil, "error open: with.message"},
		"decided before the run":  {"never", nil, nil, "skip"},
	} {
		t.Run(name, func(t *testing.T) {
			bound, err := b.Bind(g.Lookup(c.node), c.facts, c.before)
			got := fmt.Sprintf("step %v", bound.Values)
			switch {
			case err != nil:
				got = "error " + err.Error()
			case bound.Unknown != "":
				got = "unknown " + bound.Unknown
			case bound.Skip:
				got = "skip"
			case bound.Step == nil:
				got = "nothing"
			}
			if got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if bound, err := b.Bind(g.Lookup("typed@c1"), engine.Facts{"a": "4"}, nil); err != nil || bound.Step.(*drain).Limit != 5 {
		t.Errorf("the setting must reach the step: %+v %v", bound.Step, err)
	}
}

type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exit) ExitCode() int { return int(e) }

// retry.on sees the message, the exit code and whether the failure may pass.
func TestRetryOn(t *testing.T) {
	b, ok := plan.NewBinder(catalog(t)).(engine.Retrier)
	if !ok {
		t.Fatal("the binder must know retry.on")
	}
	for _, c := range []struct {
		on   string
		err  error
		want bool
	}{
		{"", exit(3), false},
		{"error.exitCode == 3", fmt.Errorf("w1: %w", exit(3)), true},
		{"error.exitCode == 3", exit(4), false},
		{"error.exitCode == -1", errors.New("no program"), true},
		{"error.message.contains('lock')", errors.New("could not get lock"), true},
		{"error.transient", engine.Transient(errors.New("reset")), true},
		{"error.transient", errors.New("reset"), false},
	} {
		got, err := b.Retry(&engine.Node{ID: "x", Retry: engine.Retry{On: c.on}}, c.err)
		if err != nil || got != c.want {
			t.Errorf("%q over %v: got %v %v", c.on, c.err, got, err)
		}
	}
}
