package main

import (
	"fmt"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/eviction"
)

// Hosts for which a step has the same settings share its outline; one for which it has others, or whose node never runs, does not.
func TestOutlines(t *testing.T) {
	catalog, err := offline()
	if err != nil {
		t.Fatal(err)
	}
	forced := func(host, force, when string) *engine.Node {
		return &engine.Node{ID: "drain@" + host, Step: "drain", Kind: "node.drain", When: when, With: map[string]any{"force": force}}
	}
	for name, tt := range map[string]struct {
		n    *engine.Node
		same bool
		want bool
	}{
		"the same settings": {forced("w2", "true", ""), true, true},
		"others":            {forced("w3", "false", ""), false, false},
		"never runs":        {forced("w4", "true", engine.Never), false, true},
	} {
		outline := outlines(catalog)
		first, err := outline(forced("w1", "true", ""))
		if err != nil {
			t.Fatal(err)
		}
		step, err := outline(tt.n)
		if err != nil || (step == first) != tt.same || step.(interface{ Drains() eviction.Settings }).Drains().Force != tt.want {
			t.Errorf("%s: %+v, %v", name, step, err)
		}
	}
	if _, err := outlines(catalog)(&engine.Node{ID: "x", Step: "x", Kind: "none"}); err == nil {
		t.Error("a kind that there is not has an outline")
	}
}

// What preflight reads out of a plan costs in proportion to the hosts, and little: settings are decoded once for each step of the plan.
func BenchmarkGoal(b *testing.B) {
	catalog, err := offline()
	if err != nil {
		b.Fatal(err)
	}
	p, err := loadPlan("plans/"+builtins()[0], catalog)
	if err != nil {
		b.Fatal(err)
	}
	for _, workers := range []int{500, 5000} {
		targets := []engine.Target{{Name: "cp1", Groups: []string{engine.ControlPlane}}}
		for i := range workers {
			targets = append(targets, engine.Target{Name: fmt.Sprintf("w%d", i+1), Groups: []string{engine.Workers}})
		}
		g, err := p.Expand(plan.Options{Catalog: catalog, Targets: targets})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := goalOf(g); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
