package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// TestDrawings proves the three pictures of one graph, once per step and once per host.
func TestDrawings(t *testing.T) {
	golden(t, "graph.mmd", draw(sample(), false).mermaid())
	golden(t, "graph.dot", draw(sample(), false).dot())
	golden(t, "graph.svg", draw(sample(), false).svg())
	golden(t, "graph-hosts.mmd", draw(sample(), true).mermaid())
}

// TestDrawingsAreWellFormed proves that no name of a step can break out of a picture's language.
func TestDrawingsAreWellFormed(t *testing.T) {
	g := sample()
	for i := range g.Nodes {
		g.Nodes[i].Step = strings.ReplaceAll(g.Nodes[i].Step, "drain", `dr"]; evil --> x <script>&`)
	}
	d := draw(g, false)
	dec := xml.NewDecoder(strings.NewReader(d.svg()))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("svg: %v", err)
		}
	}
	for name, text := range map[string]string{"svg": d.svg(), "mermaid": d.mermaid(), "dot": d.dot()} {
		if strings.Contains(text, "<script>") || strings.Contains(text, `dr"]`) {
			t.Errorf("%s lets a name break out:\n%s", name, text)
		}
	}
	if dot, err := exec.LookPath("dot"); err == nil {
		cmd := exec.CommandContext(t.Context(), dot, "-Tsvg", "-o/dev/null")
		cmd.Stdin = strings.NewReader(d.dot())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("graphviz: %v\n%s", err, out)
		}
	}
}

// TestDrawingsLookThroughBarriers proves that what waits for a barrier is drawn as waiting for all behind it.
func TestDrawingsLookThroughBarriers(t *testing.T) {
	plain, barred := sample(), sample()
	add := func(g *engine.Graph, needs ...string) {
		g.Nodes = append(g.Nodes, engine.Node{ID: "tell", Step: "tell", Kind: "tell", Target: engine.Target{Name: engine.Cluster}, Needs: needs})
	}
	all := []string{"workers/restart@w1", "workers/restart@w2", "workers/restart@w3"}
	add(plain, all...)
	add(barred, "all/*")
	barred.Barriers = []engine.Barrier{{ID: "workers/*", Needs: all}, {ID: "all/*", Needs: []string{"preflight", "workers/*"}}}
	for _, perHost := range []bool{false, true} {
		if got, want := draw(barred, perHost).mermaid(), draw(plain, perHost).mermaid(); got != want {
			t.Errorf("per host %v: %s\nwant %s", perHost, got, want)
		}
	}
}

// TestReduced proves that implied arrows go and needed ones stay.
func TestReduced(t *testing.T) {
	got := reduced([][2]int{{0, 2}, {0, 1}, {1, 2}, {0, 1}, {2, 1}, {2, 2}})
	want := [][2]int{{0, 1}, {1, 2}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("reduced = %v, want %v", got, want)
	}
}

// TestPendingDiff proves that an edit is told by field, once for all hosts, and only where something is still to be done.
func TestPendingDiff(t *testing.T) {
	old, edited := sample(), sample()
	for i := range edited.Nodes {
		n := &edited.Nodes[i]
		n.Digest = "new"
		if n.Step == "workers/drain" {
			n.With, n.Timeout = map[string]any{"force": true}, n.Timeout+20*time.Minute
		}
		if n.Kind == "cluster.healthy" {
			n.With = map[string]any{"done": "already"}
		}
	}
	edited.Groups[0].MaxUnavailable = 3
	edited.Nodes = append(edited.Nodes[:6:6], engine.Node{ID: "late", Step: "late", Kind: "wait", Target: engine.Target{Name: engine.Cluster}})
	summary := boardOf(old, story()).summary()
	golden(t, "diff.txt", strings.Join(pendingDiff(old, edited, summary), "\n")+"\n")
}
