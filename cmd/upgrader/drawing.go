package main

import (
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
)

// A drawing is a graph as a picture shows it: boxes in the order of the plan, and arrows between them. All renderers
// draw this, so that they cannot disagree.
type drawing struct {
	title  string
	boxes  []box
	arrows [][2]int // from, to: indices of boxes
}

// A box is a step with all its hosts, or one step on one host.
type box struct {
	name, kind, hosts string
	stage             string // the step of the plan's top level that it is in
}

// draw makes the picture of a graph: a box per step, or per step and host.
func draw(g *engine.Graph, perHost bool) drawing {
	d := drawing{title: g.Plan}
	index, hosts := map[string]int{}, map[int][]string{}
	key := func(n *engine.Node) string {
		if perHost {
			return n.ID
		}
		return n.Step
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		at, ok := index[key(n)]
		if !ok {
			at = len(d.boxes)
			index[key(n)] = at
			stage, _, _ := strings.Cut(n.Step, "/")
			d.boxes = append(d.boxes, box{name: n.Step, kind: n.Kind, stage: stage})
		}
		hosts[at] = append(hosts[at], n.Target.Name)
	}
	for i := range d.boxes {
		d.boxes[i].hosts = hostsWords(hosts[i])
	}
	d.arrows = reduced(arrows(g, func(n *engine.Node) int { return index[key(n)] }))
	return d
}

// arrows are the edges between boxes, through barriers. What the hosts of a step have in common is followed once.
func arrows(g *engine.Graph, boxOf func(*engine.Node) int) [][2]int {
	type edge struct {
		need string
		to   int
	}
	var list [][2]int
	nodes, followed := g.Index(), map[edge]bool{}
	for i := range g.Nodes {
		to := boxOf(&g.Nodes[i])
		for _, need := range g.Nodes[i].Needs {
			if followed[edge{need, to}] {
				continue
			}
			followed[edge{need, to}] = true
			for _, j := range nodes.Behind([]string{need}) {
				if from := boxOf(&g.Nodes[j]); from != to {
					list = append(list, [2]int{from, to})
				}
			}
		}
	}
	return list
}

func hostsWords(hosts []string) string {
	switch {
	case len(hosts) == 1 && hosts[0] == engine.Cluster:
		return ""
	case len(hosts) <= 3:
		return strings.Join(hosts, ", ")
	default:
		return fmt.Sprintf("%s … %s (%d hosts)", hosts[0], hosts[len(hosts)-1], len(hosts))
	}
}

// reduced drops arrows that are there twice, those that point back (a rollout's next host waits for the one before, so
// its first step waits for the last one), and those that others imply.
func reduced(arrows [][2]int) [][2]int {
	slices.SortFunc(arrows, func(a, b [2]int) int {
		if a[0] != b[0] {
			return a[0] - b[0]
		}
		return a[1] - b[1]
	})
	arrows = slices.DeleteFunc(slices.Compact(arrows), func(a [2]int) bool { return a[0] >= a[1] })
	next := map[int][]int{}
	for _, a := range arrows {
		next[a[0]] = append(next[a[0]], a[1])
	}
	return slices.DeleteFunc(arrows, func(a [2]int) bool {
		return slices.ContainsFunc(next[a[0]], func(via int) bool { return via != a[1] && reaches(next, via, a[1], map[int]bool{}) })
	})
}

func reaches(next map[int][]int, from, to int, seen map[int]bool) bool {
	if from == to {
		return true
	}
	if seen[from] || from > to {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(next[from], func(n int) bool { return reaches(next, n, to, seen) })
}

// stages are the runs of boxes that share a stage, as index ranges.
func (d drawing) stages() [][]int {
	var all [][]int
	for i, b := range d.boxes {
		if i > 0 && d.boxes[i-1].stage == b.stage {
			all[len(all)-1] = append(all[len(all)-1], i)
			continue
		}
		all = append(all, []int{i})
	}
	return all
}

// mermaid draws for https://mermaid.js.org, which code hosts render in Markdown.
func (d drawing) mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for s, boxes := range d.stages() {
		stage := d.boxes[boxes[0]].stage
		indent := "  "
		if len(boxes) > 1 {
			fmt.Fprintf(&b, "  subgraph g%d[%q]\n", s, plainText(stage))
			indent = "    "
		}
		for _, i := range boxes {
			fmt.Fprintf(&b, "%sn%d[\"%s\"]\n", indent, i, strings.Join(d.boxes[i].texts(len(boxes) > 1), "<br/>"))
		}
		if len(boxes) > 1 {
			b.WriteString("  end\n")
		}
	}
	for _, a := range d.arrows {
		fmt.Fprintf(&b, "  n%d --> n%d\n", a[0], a[1])
	}
	return b.String()
}

// dot draws for Graphviz.
func (d drawing) dot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=TB\n  node [shape=box style=rounded fontname=\"sans-serif\"]\n", plainText(d.title))
	for s, boxes := range d.stages() {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%q\n", s, plainText(d.boxes[boxes[0]].stage))
		for _, i := range boxes {
			fmt.Fprintf(&b, "    n%d [label=\"%s\"]\n", i, strings.Join(d.boxes[i].texts(len(boxes) > 1), `\n`))
		}
		b.WriteString("  }\n")
	}
	for _, a := range d.arrows {
		fmt.Fprintf(&b, "  n%d -> n%d\n", a[0], a[1])
	}
	b.WriteString("}\n")
	return b.String()
}

// texts are the lines in a box. Inside a stage its name need not be said again.
func (b box) texts(inStage bool) []string {
	name := b.name
	if inStage {
		name = strings.TrimPrefix(name, b.stage+"/")
	}
	texts := []string{plainText(name)}
	if b.kind != name {
		texts = append(texts, plainText(b.kind))
	}
	if b.hosts != "" {
		texts = append(texts, plainText(b.hosts))
	}
	return texts
}

// plainText keeps what has a meaning in the picture languages out of their strings.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("\"\\<>[]{}|`\n\r", r) {
			return '_'
		}
		return r
	}, s)
}
