package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// asIn1 is the graph of testdata/graph.1.json, with the barrier that a program of today makes.
func asIn1() *Graph {
	retry := Retry{Attempts: 3, Backoff: 2 * time.Second, Max: 30 * time.Second}
	targets := []Target{{Name: "c1", Groups: []string{"control-plane"}},
		{Name: "w1", Labels: map[string]string{"zone": "a"}, Groups: []string{"workers"}}, {Name: "w2", Groups: []string{"workers"}}}
	gate := Node{Target: Target{Name: Cluster}, Timeout: 10 * time.Minute, Retry: retry, Gate: true}
	drain := Node{Step: "workers/drain", Title: "node.drain", Kind: "node.drain", With: map[string]any{"force": "true"},
		Needs: []string{"skew"}, Group: "workers", Timeout: 10 * time.Minute, Retry: retry, At: "plan.yaml:7:5"}
	skew, first, second, healthy := gate, drain, drain, gate
	skew.ID, skew.Step, skew.Title, skew.Kind, skew.Digest, skew.At = "skew", "skew", "version.skew", "version.skew", "d0", "plan.yaml:5:5"
	skew.With = map[string]any{"to": "1.28.15"}
	first.ID, first.Target, first.Digest = "workers/drain@w1", targets[1], "d1"
	second.ID, second.Target, second.Digest = "workers/drain@w2", targets[2], "d2"
	healthy.ID, healthy.Step, healthy.Title, healthy.Kind = "healthy", "healthy", "cluster.healthy", "cluster.healthy"
	healthy.Digest, healthy.At, healthy.Needs = "d3", "plan.yaml:9:5", []string{"workers/*"}
	return &Graph{Format: GraphFormat, Plan: "p", From: ">=1.27.0 <1.28.0", To: "1.28.15", Vars: map[string]string{"soak": "1m0s"}, Targets: targets,
		Nodes:    []Node{skew, first, second, healthy},
		Barriers: []Barrier{{ID: "workers/*", Needs: []string{"workers/drain@w1", "workers/drain@w2"}}},
		Groups:   []Group{{ID: "workers", Hosts: []string{"w1", "w2"}, MaxUnavailable: 1, Soak: time.Minute}},
		Waivers:  []Waiver{{Check: "host.swap", Reason: "known", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}},
		Digest:   "g"}
}

// A graph that an older program wrote is read as it was, and is the same work as the graph of today although their
// digests differ; an edit shows all the same.
func TestFormatOneIsRead(t *testing.T) {
	text, err := os.ReadFile("testdata/graph.1.json")
	if err != nil {
		t.Fatal(err)
	}
	var old Graph
	if err := json.Unmarshal(text, &old); err != nil {
		t.Fatal(err)
	}
	now := asIn1()
	want := *now
	want.Format, want.Barriers = 1, nil
	want.Nodes = append([]Node{}, now.Nodes...)
	want.Nodes[3].Needs = now.Barriers[0].Needs
	if d := cmp.Diff(want, old); d != "" {
		t.Error(d)
	}
	now.Digest, now.Nodes[0].At = "another", "plan.yaml:6:5"
	if !now.Same(&old) || !old.Same(now) {
		t.Error("the same work is taken for another")
	}
	for what, edit := range map[string]func(g *Graph){
		"a node's digest":   func(g *Graph) { g.Nodes[1].Digest = "x" },
		"a timeout":         func(g *Graph) { g.Nodes[1].Timeout = time.Hour },
		"a need":            func(g *Graph) { g.Nodes[3].Needs = []string{"skew"} },
		"what a unit is":    func(g *Graph) { g.Barriers[0].Needs = g.Barriers[0].Needs[:1] },
		"a rollout's hosts": func(g *Graph) { g.Groups[0].Hosts = []string{"w2", "w1"} },
		"a rollout's rule":  func(g *Graph) { g.Groups[0].MaxUnavailable = 2 },
		"a node more":       func(g *Graph) { g.Nodes = append(g.Nodes, Node{ID: "x"}) },
		"a variable":        func(g *Graph) { g.Vars = map[string]string{"soak": "2m0s"} },
		"a waiver":          func(g *Graph) { g.Waivers = nil },
		"a label":           func(g *Graph) { g.Targets[1].Labels = nil },
	} {
		edited := asIn1()
		if edit(edited); edited.Same(&old) {
			t.Errorf("%s is no edit", what)
		}
	}
}

// What cannot be read is refused in words, and nothing is made of a damaged file.
func TestGraphFilesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"format": 3, "nodes": "what ever"}`:                            "the graph was written by a newer upgrader (format 3, this one reads up to 2): go on with that one",
		`{"format": -1}`:                                                 "no format that ever was (-1)",
		`{"format": 2, "steps": [], "nodes": [{"s": 0}]}`:                "node 0 of the graph names step 0 of 0 on host 0 of 0: the file is damaged",
		`{"format": 2, "steps": [{"step":"a"}], "nodes": [{"n": [1]}]}`:  "node a of the graph needs number 1, and there are 1 nodes and 0 barriers: the file is damaged",
		`{"format": 2, "steps": [{"step":"a"}], "nodes": [{"n": [-1]}]}`: "needs number -1",
		`{"format": 2, "steps": [{"step":"a"}], "nodes": [{"h": 1}]}`:    "on host 1 of 0",
	} {
		var g Graph
		if err := json.Unmarshal([]byte(text), &g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if _, err := json.Marshal(&Graph{Nodes: []Node{{ID: "a", Step: "a", Needs: []string{"b"}}}}); err == nil || !strings.Contains(err.Error(), "a needs b, which is not in it") {
		t.Errorf("got %v", err)
	}
}

// Whatever a graph is made of, writing and reading bring it back, and equal graphs give the same bytes however they
// share their settings in memory.
func TestGraphFileBringsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawAnyGraph(t)
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		var back Graph
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(g, &back); d != "" {
			t.Fatal(d)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != string(text) {
			t.Fatalf("other bytes: %v\n%s\n%s", err, text, again)
		}
	})
}

func drawAnyGraph(t *rapid.T) *Graph {
	word := rapid.SampledFrom([]string{"a", "b", "c/d", "é<&", "x"})
	g := &Graph{Format: GraphFormat, Plan: word.Draw(t, "plan"), Digest: "d"}
	for i := range rapid.IntRange(1, 3).Draw(t, "targets") {
		g.Targets = append(g.Targets, Target{Name: fmt.Sprintf("h%d", i), Groups: []string{"all"}})
	}
	var ids []string
	need := func() (list []string) {
		for range rapid.IntRange(0, min(3, len(ids))).Draw(t, "needs") {
			list = append(list, rapid.SampledFrom(ids).Draw(t, "need"))
		}
		return list
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
		n := Node{Step: word.Draw(t, "step"), Kind: word.Draw(t, "kind"), Target: Target{Name: Cluster}, Needs: need(), Gate: rapid.Bool().Draw(t, "gate"), Digest: word.Draw(t, "digest")}
		if rapid.Bool().Draw(t, "with") {
			n.With = map[string]any{word.Draw(t, "key"): []any{word.Draw(t, "value"), map[string]any{}, nil}}
		}
		if rapid.Bool().Draw(t, "host") {
			n.Target = rapid.SampledFrom(append(g.Targets, Target{Name: "h0"}, Target{Name: "elsewhere"})).Draw(t, "target")
		}
		n.ID = usualID(n.Step, n.Target.Name)
		for _, taken := range ids {
			if taken == n.ID {
				n.ID = fmt.Sprintf("id-%d", i)
			}
		}
		ids = append(ids, n.ID)
		g.Nodes = append(g.Nodes, n)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "barriers") {
		b := Barrier{ID: fmt.Sprintf("b%d/*", i), Needs: need()}
		ids = append(ids, b.ID)
		g.Barriers = append(g.Barriers, b)
	}
	return g
}
