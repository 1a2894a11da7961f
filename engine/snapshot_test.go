package engine

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawSections is a random plan of rollouts, single steps, gates and what is done finally.
func drawSections(t *rapid.T) *Graph {
	g := &Graph{Digest: "g"}
	var before []string
	for s := range rapid.IntRange(1, 4).Draw(t, "sections") {
		final := s == 3 && rapid.Bool().Draw(t, "finally")
		id := string(rune('a' + s))
		hosts := []string{"h1", "h2", "h3", "h4"}[:rapid.IntRange(0, 4).Draw(t, "hosts")]
		var section *Graph
		if len(hosts) == 0 {
			section = &Graph{Nodes: []Node{node(id, id, Cluster, "")}}
			section.Nodes[0].Gate = rapid.Bool().Draw(t, "gate")
		} else {
			section = rolling(id, rapid.IntRange(1, 3).Draw(t, "max"), []string{"x", "y"}[:rapid.IntRange(1, 2).Draw(t, "steps")], hosts...)
			section.Groups[0].Canary = rapid.IntRange(0, 1).Draw(t, "canary")
			section.Groups[0].MaxFailures = rapid.IntRange(0, 2).Draw(t, "failures")
			section.Groups[0].Soak = time.Duration(rapid.IntRange(0, 20).Draw(t, "soak")) * time.Second
		}
		barrier := Barrier{ID: id + "/*"}
		for i := range section.Nodes {
			n := &section.Nodes[i]
			n.Finally = final
			if len(n.Needs) == 0 && !final {
				n.Needs = before
			}
			barrier.Needs = append(barrier.Needs, n.ID)
		}
		g.Nodes, g.Groups, g.Barriers = append(g.Nodes, section.Nodes...), append(g.Groups, section.Groups...), append(g.Barriers, barrier)
		before = []string{barrier.ID}
	}
	return g
}

// answer is what a toy world says to a command, if anything.
func answer(t *rapid.T, c Command, made map[int]bool) (Event, bool) {
	bad := rapid.IntRange(0, 11).Draw(t, "dice")
	switch c.Do {
	case Bind:
		return Event{Kind: Prepared, Node: c.Node, Undoes: bad == 1}, true
	case Observe:
		ev := Event{Kind: Observed, Node: c.Node}
		switch {
		case bad == 0:
			ev.Err = &Failure{Why: "broken"}
		case bad == 1:
			ev.Err = &Failure{Class: Waits, Why: "a moment"}
		case !made[c.Node] && !c.Undo:
			ev.Changes = []Proposal{{Say: "one", Repeat: Guarded}, {Say: "two", Repeat: Convergent}}
		}
		return ev, true
	case Make:
		made[c.Node] = true
		ev := Event{Kind: Made, Node: c.Node, Ticket: c.Ticket}
		if bad < 3 {
			ev.Err = &Failure{Class: []Class{Doubts, Waits, Plain}[bad], Why: "no"}
		}
		return ev, true
	case Settle:
		return Event{Kind: Told, Node: c.Node, Ticket: c.Ticket, Fate: []Fate{Ended, NeverStarted, Cut}[bad%3]}, true
	case Look:
		ev := Event{Kind: Looked, Group: c.Group}
		if bad < 3 {
			ev.Hosts = map[string]string{"h1": "cordoned"}
		}
		return ev, true
	case Hold:
		return Event{Kind: Held}, true
	}
	return Event{}, false
}

// A reducer that is written down and taken up again between any two events goes on as if nothing had been.
func TestASnapshotChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawSections(t)
		o := Options{Run: "r", Limit: rapid.IntRange(1, 4).Draw(t, "limit"), Guarded: rapid.Bool().Draw(t, "guarded")}
		r, other, made, now := NewReducer(g, o), NewReducer(g, o), map[int]bool{}, time.Duration(0)
		open := []Event{{Kind: Began, Epoch: 1}}
		for range 150 {
			ev := Event{Kind: Ticked}
			if len(open) > 0 {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				ev, open = open[i], append(open[:i:i], open[i+1:]...)
			} else {
				now += 5 * time.Second
			}
			now += time.Duration(rapid.IntRange(0, 3).Draw(t, "pause")) * time.Second
			ev.Now = now
			want := append([]Command(nil), r.Next(ev)...)
			if got := other.Next(ev); !reflect.DeepEqual(append([]Command(nil), got...), want) {
				t.Fatalf("after %s:\n%+v\nand taken up again:\n%+v", ev.Kind, want, got)
			}
			for _, c := range want {
				if c.Do == Finish {
					return
				}
				if ev, ok := answer(t, c, made); ok {
					open = append(open, ev)
				}
			}
			data, err := other.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if other, err = Restore(g, o, data); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAForeignSnapshotIsRefused(t *testing.T) {
	g := one("x")
	r := NewReducer(g, Options{})
	r.Next(Event{Kind: Began})
	data, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(map[string]any)) []byte {
		var tree map[string]any
		if err := json.Unmarshal(data, &tree); err != nil {
			t.Fatal(err)
		}
		f(tree)
		out, _ := json.Marshal(tree)
		return out
	}
	for about, c := range map[string]struct {
		data []byte
		want string
	}{
		"newer":     {change(func(s map[string]any) { s["format"] = SnapshotFormat + 1 }), "it has format 2, and this program knows format 1"},
		"another":   {change(func(s map[string]any) { s["graph"] = "other" }), "another graph"},
		"too large": {change(func(s map[string]any) { s["permits"] = []int{7} }), "does not fit"},
		"no text":   {[]byte("{"), "unexpected end"},
	} {
		if _, err := Restore(g, Options{}, c.data); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", about, err, c.want)
		}
	}
}
