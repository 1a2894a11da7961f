package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/private"
)

// longRun is the directory of a run over many hosts that has journaled so many records: every host is done, a gate was not looked at.
func longRun(b *testing.B, records int) runDir {
	b.Helper()
	const steps, perStep = 9, 22
	g := &engine.Graph{Format: engine.GraphFormat, Digest: "g"}
	g.Nodes = append(g.Nodes, engine.Node{ID: "check", Step: "check", Kind: "cluster.healthy", Target: engine.Target{Name: engine.Cluster}, Gate: true, Timeout: time.Minute})
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
	data, err := json.Marshal(g) // as a run pins it
	if err == nil {
		err = private.WriteFile(d.path("graph.json"), data)
	}
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// BenchmarkJournalStatus is what `upgrader status` reads: the graph, and the whole journal into a progress.
func BenchmarkJournalStatus(b *testing.B) {
	overLongRuns(b, func(d runDir) {
		if _, _, err := d.summary(); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkJournalWatch is one more look of `upgrader status -w`: it reads what has come since the last one.
func BenchmarkJournalWatch(b *testing.B) {
	for _, records := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			d := longRun(b, records)
			g, err := d.graph()
			if err != nil {
				b.Fatal(err)
			}
			f := d.follow(g)
			if _, err := f.look(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := f.look(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkJournalResume is `upgrader resume` but for the cluster: it takes the journal, reads the graph and the records, and goes on
// until a gate has been looked at again, which is shut.
func BenchmarkJournalResume(b *testing.B) {
	overLongRuns(b, func(d runDir) {
		if err := resumeLong(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	})
}

// overLongRuns measures what is done with runs of many records, and how much memory it holds at most.
func overLongRuns(b *testing.B, do func(runDir)) {
	for _, records := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			d := longRun(b, records)
			runtime.GC()
			peak := watchHeap()
			for b.Loop() {
				do(d)
				b.StopTimer()
				runtime.GC() // what one turn held is not the next one's
				b.StartTimer()
			}
			b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
		})
	}
}

func resumeLong(ctx context.Context, d runDir) error {
	file, err := journal.Open(string(d))
	if err != nil {
		return err
	}
	defer closeQuietly(file)
	g, err := d.graph()
	if err != nil {
		return err
	}
	h, err := readHistory(file, g)
	if err != nil {
		return err
	}
	r := &engine.Runner{Graph: g, Run: "r", Log: file, Past: h.past, Binder: shutBinder{}, Availability: allWell{},
		Watch: func(rec journal.Record) { h.board.take(&rec) }}
	if err := r.Start(ctx, nil); err != nil {
		return err
	}
	if s := h.board.summary(); !s.Refused {
		return fmt.Errorf("it ended %s: %s", s.State, s.Why)
	}
	return nil
}

// shutBinder makes the step of the one node that is not done: a gate that is shut.
type shutBinder struct{}

func (shutBinder) Bind(*engine.Node, engine.Known, map[string]string) (engine.Bound, error) {
	return engine.Bound{Step: shut{}}, nil
}

type shut struct{}

func (shut) Observe(context.Context, engine.Scene) ([]engine.Change, error) {
	return nil, engine.Refuse("it is shut", "open it")
}
