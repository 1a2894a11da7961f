package main

import (
	"fmt"
	"io"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// wide is a graph of so many hosts, each with nine steps of one rollout, after a check and before a last step.
func wide(hosts int) *engine.Graph {
	g := &engine.Graph{Plan: "big", To: "1.28.15"}
	group := engine.Group{ID: "workers", MaxUnavailable: hosts / 5, Soak: time.Minute}
	barrier := engine.Barrier{ID: "workers/*"}
	g.Nodes = append(g.Nodes, engine.Node{ID: "check", Step: "check", Target: engine.Target{Name: engine.Cluster}})
	for h := range hosts {
		host := engine.Target{Name: fmt.Sprintf("w%04d", h)}
		g.Targets, group.Hosts = append(g.Targets, host), append(group.Hosts, host.Name)
		need := "check"
		for s := range 9 {
			n := engine.Node{Step: fmt.Sprintf("workers/step%d", s), Target: host, Needs: []string{need}, Group: "workers"}
			n.ID = n.Step + "@" + host.Name
			need = n.ID
			g.Nodes = append(g.Nodes, n)
		}
		barrier.Needs = append(barrier.Needs, need)
	}
	g.Nodes = append(g.Nodes, engine.Node{ID: "after", Step: "after", Target: engine.Target{Name: engine.Cluster}, Needs: []string{barrier.ID}})
	g.Barriers, g.Groups = []engine.Barrier{barrier}, []engine.Group{group}
	return g
}

// halfWay are the records of a run over such a graph that has done one half of it and is at work on 32 hosts.
func halfWay(g *engine.Graph) []journal.Record {
	records := []journal.Record{{Kind: journal.Begin, Time: noon()}}
	half := len(g.Nodes) / 2
	for i, n := range g.Nodes[:half] {
		at := noon().Add(time.Duration(i) * time.Second)
		records = append(records,
			journal.Record{Kind: journal.Start, Node: n.ID, Attempt: 1, Time: at},
			journal.Record{Kind: journal.Intent, Node: n.ID, Say: "install kubelet", Time: at},
			journal.Record{Kind: journal.Outcome, Node: n.ID, State: "ok", Time: at},
			journal.Record{Kind: journal.Settled, Node: n.ID, State: engine.Done, Time: at.Add(time.Second)})
	}
	for i := half; i < half+32*9 && i < len(g.Nodes); i += 9 {
		records = append(records, journal.Record{Kind: journal.Start, Node: g.Nodes[i].ID, Attempt: 1, Time: noon().Add(time.Hour)})
	}
	return records
}

// BenchmarkFrame is one drawing of the live view.
func BenchmarkFrame(b *testing.B) {
	for _, hosts := range []int{500, 5000} {
		g := wide(hosts)
		p := boardOf(g, halfWay(g)).progress
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				screen{head: heading{Plan: g.Plan, Begun: noon()}}.lines(p, noon().Add(2*time.Hour), 120, 40)
			}
		})
	}
}

// BenchmarkSpeakUp is the plain view looking for steps that have been silent for long, of which there are none.
func BenchmarkSpeakUp(b *testing.B) {
	for _, hosts := range []int{500, 5000} {
		g := wide(hosts)
		records := halfWay(g)
		v := &plainView{out: io.Discard, board: newBoard(g), nodes: map[string]*plainNode{}}
		tell(v.board, v, records...)
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				v.speakUp(records[len(records)-1].Time)
			}
		})
	}
}

// BenchmarkShow is one record more on the board and in the live view.
func BenchmarkShow(b *testing.B) {
	for _, hosts := range []int{500, 5000} {
		g := wide(hosts)
		records := halfWay(g)
		v := &ttyView{board: newBoard(g), started: map[string]time.Time{}}
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				tell(v.board, v, records[i%(len(records)-1)+1])
			}
		})
	}
}
