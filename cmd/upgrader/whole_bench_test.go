package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// prompt is a step whose host answers at once: it makes one change.
type prompt struct{ made bool }

func (p *prompt) Observe(context.Context, engine.Scene) ([]engine.Change, error) {
	if p.made {
		return nil, nil
	}
	return []engine.Change{{Say: "install kubelet", Repeat: engine.Convergent, Do: func(_ context.Context, t engine.Ticket) error {
		p.made = true
		_, err := io.WriteString(t.Out, "done\n")
		return err
	}}}, nil
}

type promptBinder struct{}

func (promptBinder) Bind(*engine.Node, engine.Known, map[string]string) (engine.Bound, error) {
	return engine.Bound{Step: &prompt{}}, nil
}

type allWell struct{}

func (allWell) Down(context.Context, []string) (map[string]string, error) { return nil, nil }

// BenchmarkWholeRun is everything of a run but the hosts: the graph written down, the journal with its syncs, logs, board and view.
// How much of it is deciding tells a profile: go tool pprof -top -focus 'engine..\*Reducer'.
func BenchmarkWholeRun(b *testing.B) {
	for _, hosts := range []int{500, 5000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			g := wide(hosts)
			g.Groups[0].Soak = 0
			for i := range g.Nodes {
				g.Nodes[i].Timeout, g.Nodes[i].Retry.Attempts = time.Hour, 1
			}
			peak := watchHeap()
			for b.Loop() {
				wholeRun(b, g)
			}
			b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
			b.ReportMetric(float64(len(g.Nodes)*b.N)/b.Elapsed().Seconds(), "steps/s")
		})
	}
}

func wholeRun(b *testing.B, g *engine.Graph) {
	d := runDir(b.TempDir())
	if err := writeJSON(d.path("graph.json"), g); err != nil {
		b.Fatal(err)
	}
	file, err := journal.Open(string(d))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	board := newBoard(g)
	out := newOutputs(d, board)
	defer out.Close()
	show := newPlainView(io.Discard, board, style{})
	defer show.Close()
	r := &engine.Runner{Graph: g, Run: "r", Log: file, Binder: promptBinder{}, Availability: allWell{}, Output: out.Open,
		Watch: func(rec journal.Record) { board.take(&rec); show.Show(rec) }}
	err = r.Start(b.Context(), nil)
	if s := board.summary(); err != nil || s.State != engine.Done {
		b.Fatal(s.State, s.Why, err)
	}
}

// watchHeap looks at the heap now and then, and returns the largest that it saw.
func watchHeap() func() uint64 {
	var peak atomic.Uint64
	quit := make(chan struct{})
	go every(10*time.Millisecond, quit, func(time.Time) {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
	})
	return func() uint64 {
		close(quit)
		runtime.GC()
		return peak.Load()
	}
}
