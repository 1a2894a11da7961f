package engine

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// wide is a rollout over many hosts: steps in a row on each, and a step that comes after all of them.
func wide(hosts, steps, atOnce int) *Graph {
	g := &Graph{Nodes: make([]Node, 0, hosts*steps+1)}
	roll := Group{ID: "workers", MaxUnavailable: atOnce}
	after := Barrier{ID: "workers/*"}
	for h := range hosts {
		name := fmt.Sprintf("w%d", h)
		roll.Hosts = append(roll.Hosts, name)
		var before []string
		for s := range steps {
			kind := fmt.Sprintf("s%d", s)
			n := node(kind+"@"+name, kind, name, "workers", before...)
			g.Nodes = append(g.Nodes, n)
			before = []string{n.ID}
		}
		after.Needs = append(after.Needs, before...)
	}
	g.Groups, g.Barriers = []Group{roll}, []Barrier{after}
	g.Nodes = append(g.Nodes, node("last", "s0", Cluster, "", after.ID))
	return g
}

// drive answers every command of a reducer at once: each node makes one change.
func drive(r *Reducer, g *Graph) (events int, state string) {
	made := make([]bool, len(g.Nodes))
	change := []Proposal{{Say: "change", Repeat: Guarded}}
	queue := []Event{{Kind: Began}}
	for now := time.Duration(0); len(queue) > 0; now += time.Millisecond {
		ev := queue[0]
		queue = queue[1:]
		ev.Now = now
		events++
		for _, c := range r.Next(ev) {
			switch c.Do {
			case Bind:
				queue = append(queue, Event{Kind: Prepared, Node: c.Node})
			case Observe:
				ev := Event{Kind: Observed, Node: c.Node}
				if !made[c.Node] && !g.Nodes[c.Node].Gate {
					ev.Changes = change
				}
				queue = append(queue, ev)
			case Make:
				made[c.Node] = true
				queue = append(queue, Event{Kind: Made, Node: c.Node, Ticket: c.Ticket})
			case Look:
				queue = append(queue, Event{Kind: Looked, Group: c.Group})
			case Finish:
				return events, c.State
			}
		}
	}
	return events, "stuck"
}

// BenchmarkReducer is the reducer alone: every command is answered at once.
func BenchmarkReducer(b *testing.B) {
	for _, at := range []struct {
		name   string
		atOnce func(hosts int) int
	}{{"20%", func(n int) int { return n / 5 }}, {"1", func(int) int { return 1 }}, {"50", func(int) int { return 50 }}} {
		for _, hosts := range []int{1250, 5000, 20000} {
			b.Run(fmt.Sprintf("atOnce=%s/hosts=%d", at.name, hosts), func(b *testing.B) {
				g := wide(hosts, 9, at.atOnce(hosts))
				b.ReportAllocs()
				for b.Loop() {
					if _, state := drive(NewReducer(g, Options{Run: "r"}), g); state != Done {
						b.Fatal(state)
					}
				}
			})
		}
	}
}

// gated is layers of gates, each layer behind the one before, and a step behind the last; and the records of a run in which
// all gates were open.
func gated(hosts, layers int) (*Graph, []journal.Record) {
	g, past, before := &Graph{}, []journal.Record{{Kind: journal.Begin, Format: journal.Format}}, []string(nil)
	for k := range layers {
		layer := Barrier{ID: fmt.Sprintf("u%d/*", k)}
		for h := range hosts {
			n := node(fmt.Sprintf("u%d@w%d", k, h), "gate", fmt.Sprintf("w%d", h), "", before...)
			n.Gate = true
			g.Nodes = append(g.Nodes, n)
			layer.Needs = append(layer.Needs, n.ID)
			past = append(past, journal.Record{Kind: journal.Start, Node: n.ID, Attempt: 1}, journal.Record{Kind: journal.Settled, Node: n.ID, State: Done, Digest: n.Digest})
		}
		g.Barriers = append(g.Barriers, layer)
		before = []string{layer.ID}
	}
	g.Nodes = append(g.Nodes, node("x@w1", "x", "w1", "", before...))
	return g, past
}

// BenchmarkResumeGates is a resume that has to see every gate open again.
func BenchmarkResumeGates(b *testing.B) {
	for _, hosts := range []int{1000, 4000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			g, past := gated(hosts, 3)
			b.ReportAllocs()
			for b.Loop() {
				r := NewReducer(g, Options{Run: "r"})
				r.Replay(past)
				if _, state := drive(r, g); state != Done {
					b.Fatal(state)
				}
			}
		})
	}
}

// quick is a step that makes one change, in no time.
type quick struct {
	fact string // that it promises
	done bool
}

func (q *quick) Observe(context.Context, Scene) ([]Change, error) {
	if q.done {
		return nil, nil
	}
	return []Change{{Say: "change", Repeat: Convergent, Then: Facts{q.fact: "true"}, Do: func(context.Context, Ticket) error { q.done = true; return nil }}}, nil
}

type quickBinder struct{}

func (quickBinder) Bind(n *Node, _ Known, _ map[string]string) (Bound, error) {
	return Bound{Step: &quick{fact: n.ID}}, nil
}

// forgetful is a journal in memory that keeps nothing.
type forgetful struct{}

func (forgetful) Append(...journal.Record) error { return nil }

// BenchmarkRunner is a whole run in memory: goroutines, commands and records, but no host and no disk.
func BenchmarkRunner(b *testing.B) {
	for _, hosts := range []int{500, 2000, 5000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			g := wide(hosts, 9, hosts/5)
			b.ReportAllocs()
			for b.Loop() {
				var last journal.Record
				r := &Runner{Graph: g, Run: "r", Log: forgetful{}, Binder: quickBinder{}, Watch: func(rec journal.Record) { last = rec }}
				if err := r.Start(b.Context(), nil); err != nil || last.State != Done {
					b.Fatal(last, err)
				}
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapSys)/(1<<20), "heap-MB")
		})
	}
}

// BenchmarkRehearsal is a dry run: each change is announced, and every later step may ask what was promised.
func BenchmarkRehearsal(b *testing.B) {
	for _, hosts := range []int{500, 2000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			g := wide(hosts, 9, hosts/5)
			b.ReportAllocs()
			for b.Loop() {
				var end string
				r := &Runner{Graph: g, Run: "r", Binder: quickBinder{}, Rehearse: true, Watch: func(rec journal.Record) {
					if rec.Kind == journal.End {
						end = rec.State
					}
				}}
				if err := r.Start(b.Context(), nil); err != nil || end != Done {
					b.Fatal(end, err)
				}
			}
		})
	}
}
