package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

// What a plan accepts stands in its graph, up to the end of the last day, and is part of its digest.
func TestWaiversStandInTheGraph(t *testing.T) {
	const text = `apiVersion: upgrader.dev/v1
kind: Plan
name: x
waivers:
  - {check: host.swap, where: w1, reason: the kubelet is told to, until: 2026-12-31}
steps:
  - {uses: cluster.healthy}
`
	expand := func(text string) *engine.Graph {
		p, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		g, err := p.Expand(plan.Options{Catalog: catalog(t), Targets: inventory(1, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := expand(text)
	want := []engine.Waiver{{Check: "host.swap", Where: "w1", Reason: "the kubelet is told to", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}
	if d := cmp.Diff(want, g.Waivers); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for name, tt := range map[string]struct {
		check, where string
		at           time.Time
		covers       bool
	}{
		"the last moment":  {"host.swap", "w1", time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), true},
		"the day after":    {"host.swap", "w1", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), false},
		"another place":    {"host.swap", "w2", time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), false},
		"another check":    {"host.disk", "w1", time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), false},
		"an ordinary time": {"host.swap", "w1", time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), true},
	} {
		if got := g.Waivers[0].Covers(tt.check, tt.where, tt.at); got != tt.covers {
			t.Errorf("%s: %t", name, got)
		}
	}
}
