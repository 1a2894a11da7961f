package plans_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/plans"
	"upgrader.dev/upgrader/steps"
)

// BenchmarkExpand lays a shipped runbook out over large clusters: disk-MB is what a run's graph takes on the disk, needs
// what the scheduler has to keep in mind.
func BenchmarkExpand(b *testing.B) {
	for _, workers := range []int{1000, 5000, 20000} {
		b.Run(strconv.Itoa(workers), func(b *testing.B) { benchmarkExpand(b, hosts(3, workers)) })
	}
}

// BenchmarkGraphFile writes such a graph down and reads it back, as a run and its resume do.
func BenchmarkGraphFile(b *testing.B) {
	g := shipped(b, hosts(3, 5000))
	text, err := json.Marshal(g)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(g); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(text))/1e6, "disk-MB")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var back engine.Graph
			if err := json.Unmarshal(text, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkExpand(b *testing.B, targets []engine.Target) {
	b.ReportAllocs()
	var g *engine.Graph
	for b.Loop() {
		g = shipped(b, targets)
	}
	text, err := json.Marshal(g)
	if err != nil {
		b.Fatal(err)
	}
	needs := 0
	for _, n := range g.Nodes {
		needs += len(n.Needs)
	}
	for _, barrier := range g.Barriers {
		needs += len(barrier.Needs)
	}
	b.ReportMetric(float64(len(text))/1e6, "disk-MB")
	b.ReportMetric(float64(needs), "needs")
}

func shipped(b *testing.B, targets []engine.Target) *engine.Graph {
	b.Helper()
	catalog, err := steps.Catalog(steps.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := plan.LoadFS(plans.FS, "1.27-to-1.28.yaml")
	if err != nil {
		b.Fatal(err)
	}
	g, err := p.Expand(plan.Options{Catalog: catalog, Targets: targets})
	if err != nil {
		b.Fatal(err)
	}
	return g
}
