package main

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// longRun is the directory of a run over many hosts that has journaled so many records.
func longRun(b *testing.B, records int) runDir {
	b.Helper()
	const steps, perStep = 9, 22
	g := &engine.Graph{Format: engine.GraphFormat, Digest: "g"}
	d := runDir(b.TempDir())
	file, err := journal.Open(string(d))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	group := engine.Group{ID: "workers", MaxUnavailable: 50}
	batch := []journal.Record{{Kind: journal.Begin}}
	for h := 0; h*steps*perStep < records; h++ {
		t := engine.Target{Name: fmt.Sprintf("worker-%05d", h)}
		g.Targets, group.Hosts = append(g.Targets, t), append(group.Hosts, t.Name)
		for s := range steps {
			step := fmt.Sprintf("workers/step-%d", s)
			n := engine.Node{ID: step + "@" + t.Name, Step: step, Kind: "packages.install", Target: t, Group: group.ID, Timeout: time.Minute, Digest: "0123456789abcdef0123456789abcdef"}
			g.Nodes = append(g.Nodes, n)
			ticket := fmt.Sprintf("1129-0057-3th-%s-%d-1", t.Name, s)
			batch = append(batch,
				journal.Record{Kind: journal.Start, Node: n.ID, Attempt: 1},
				journal.Record{Kind: journal.Intent, Node: n.ID, Host: t.Name, Uses: n.Kind, Group: n.Group, Ticket: ticket, Say: "install kubelet 1.28.15-1.1", Repeat: string(engine.Guarded), Digest: n.Digest},
				journal.Record{Kind: journal.Outcome, Node: n.ID, Ticket: ticket, State: "ok", Facts: map[string]string{"kubelet@" + t.Name: "1.28.15-1.1"}})
			for i := range perStep - 4 {
				batch = append(batch, journal.Record{Kind: journal.Wait, Node: n.ID, Why: fmt.Sprintf("%d pods are left", perStep-i)})
			}
			batch = append(batch, journal.Record{Kind: journal.Settled, Node: n.ID, State: engine.Done, Digest: n.Digest})
		}
		if err := file.Append(batch...); err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
	g.Groups = []engine.Group{group}
	if err := writeJSON(d.path("graph.json"), g); err != nil {
		b.Fatal(err)
	}
	return d
}

// BenchmarkStatus is what `upgrader status` reads: the graph, and the whole journal into a progress.
func BenchmarkStatus(b *testing.B) {
	for _, records := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			d := longRun(b, records)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if _, _, err := d.summary(); err != nil {
					b.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapSys-before.HeapReleased)/(1<<20), "heap-MB")
		})
	}
}
