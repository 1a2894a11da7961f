package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

// A run that an older program began is taken up without a word about its plan, as long as nobody edited it; and an edit
// is told as itself, without what only looks different because graphs are written in another way now.
func TestARunOfAnOlderProgramWasNotEdited(t *testing.T) {
	old := runDir("testdata/format-1")
	pinned, err := old.graph()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(old.path("plan", "1.27-to-1.28.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	now := expandText(t, string(text), pinned.Targets)
	if pinned.Format != 1 || now.Format != engine.GraphFormat || now.Digest == pinned.Digest {
		t.Fatalf("formats %d and %d: the test tests nothing", pinned.Format, now.Format)
	}
	if !now.Same(pinned) {
		t.Errorf("it was not edited:\n%s", strings.Join(pendingDiff(pinned, now, newBoard(pinned).summary()), "\n"))
	}
	edited := expandText(t, strings.Replace(string(text), "timeout: 72h", "timeout: 48h", 1), pinned.Targets)
	if edited.Same(pinned) {
		t.Error("it was edited")
	}
	want := []string{"  ~ approve-workers", "      timeout: 72h0m0s -> 48h0m0s"}
	if got := pendingDiff(pinned, edited, newBoard(pinned).summary()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func expandText(t *testing.T, text string, targets []engine.Target) *engine.Graph {
	t.Helper()
	catalog, err := offline()
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.LoadFS(fstest.MapFS{"plan.yaml": {Data: []byte(text)}}, "plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Expand(plan.Options{Catalog: catalog, Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A drawing leads through barriers: what a step waits for is drawn as if it named every node.
func TestDrawingsLeadThroughBarriers(t *testing.T) {
	node := func(id, step string, needs ...string) engine.Node {
		return engine.Node{ID: id, Step: step, Needs: needs}
	}
	g := &engine.Graph{Nodes: []engine.Node{node("a@1", "a"), node("a@2", "a"), node("b@1", "b", "a/*"), node("b@2", "b", "a/*"), node("c", "c", "b/*")},
		Barriers: []engine.Barrier{{ID: "a/*", Needs: []string{"a@1", "a@2"}}, {ID: "b/*", Needs: []string{"a/*", "b@1", "b@2"}}}}
	if got := draw(g, false).arrows; !slices.Equal(got, [][2]int{{0, 1}, {1, 2}}) {
		t.Errorf("by step: %v", got)
	}
	if got := draw(g, true).arrows; !slices.Equal(got, [][2]int{{0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 4}, {3, 4}}) {
		t.Errorf("by host: %v", got)
	}
}
