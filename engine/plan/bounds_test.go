package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

// Steps without hosts pass on what they wait for. However they are joined, that is found once for each: before, 60 of
// them took longer than anybody waits.
func TestJoinsOverStepsWithoutHostsAreLinear(t *testing.T) {
	var b strings.Builder
	b.WriteString("  - {id: a, uses: node.uncordon, hosts: control-plane}\n  - {id: s0, uses: node.uncordon, hosts: \"workers[9:]\"}\n")
	b.WriteString("  - {id: s1, uses: node.uncordon, hosts: \"workers[9:]\"}\n")
	for i := 2; i < 60; i++ {
		fmt.Fprintf(&b, "  - {id: s%d, uses: node.uncordon, hosts: \"workers[9:]\", needs: [s%d, s%d, a]}\n", i, i-1, i-2)
	}
	b.WriteString("  - {id: z, uses: cluster.healthy}\n")
	g := expand(t, header+"steps:\n"+b.String(), plan.Options{})
	total := 0
	for _, barrier := range g.Barriers {
		total += len(barrier.Needs)
	}
	if total > 3*60 {
		t.Errorf("%d needs in barriers", total)
	}
	var got []string
	z := g.Lookup("z")
	for _, i := range g.Index().Behind(z.Needs) {
		got = append(got, g.Nodes[i].ID)
	}
	if want := "a@c1 a@c2 a@c3"; strings.Join(got, " ") != want {
		t.Errorf("z waits for %v, want %s", got, want)
	}
}

// The edges grow with steps and hosts, not with their product.
func TestNeedsAreLinear(t *testing.T) {
	targets := make([]engine.Target, 300)
	for i := range targets {
		targets[i] = engine.Target{Name: fmt.Sprintf("w%d", i), Groups: []string{"workers"}}
	}
	g := expand(t, header+`steps:
  - {id: a, uses: node.uncordon, hosts: all}
  - {id: b, uses: node.uncordon, hosts: all, needs: []}
  - {id: c, uses: node.uncordon, hosts: all, needs: [a, b]}
  - {id: d, hosts: all, needs: [a, b, c], steps: [{uses: node.drain}, {uses: node.uncordon}]}
  - {id: e, needs: [a, d], steps: [{id: x, uses: node.uncordon, hosts: all}, {id: y, uses: node.uncordon, hosts: all, needs: []}]}
  - {id: z, uses: cluster.healthy}
`, plan.Options{Targets: targets})
	needs := 0
	for _, n := range g.Nodes {
		needs += len(n.Needs)
	}
	for _, barrier := range g.Barriers {
		needs += len(barrier.Needs)
	}
	if limit := 2*len(g.Nodes) + 20; needs > limit {
		t.Errorf("%d needs of %d nodes", needs, len(g.Nodes))
	}
}

// Fragments in fragments are a bomb: eight small files would be ten million steps. They are refused at the step of the
// plan where it becomes too much, before they take memory.
func TestStepsAreBounded(t *testing.T) {
	bundle := plan.Bundle{"plan.yaml": []byte(header + "steps:\n  - {uses: cluster.healthy}\n  - {uses: ./f1.yaml}\n")}
	for i := 1; i < 8; i++ {
		bundle[fmt.Sprintf("f%d.yaml", i)] = fragment(10, fmt.Sprintf("{uses: ./f%d.yaml}", i+1))
	}
	bundle["f8.yaml"] = fragment(10, "{uses: cluster.healthy}")
	p, err := loadBundle("", "plan.yaml", bundle)
	const want = "plan.yaml:7:5: the plan has more than 20000 steps here, those of fragments counted at every use; divide the plan"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := p.Check(catalog(t)); err == nil || err.Error() != want {
		t.Errorf("the check tells %v", err)
	}
}

// A plan over very many hosts is refused before it is laid out.
func TestNodesAreBounded(t *testing.T) {
	targets := make([]engine.Target, 20_000)
	for i := range targets {
		targets[i] = engine.Target{Name: fmt.Sprintf("w%d", i), Groups: []string{"workers"}}
	}
	p, err := parse([]byte(header + "steps:\n  - id: g\n    hosts: workers\n    steps:\n" + strings.Repeat("      - {uses: node.uncordon}\n", 51)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Expand(plan.Options{Catalog: catalog(t), Targets: targets})
	const want = "plan.yaml:7:12: the plan comes to more than 1000000 steps over its hosts; divide the plan, or the hosts among several runs"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A fragment is read once and used often: what one use adds to its steps is not seen by the others.
func TestUsesOfAFragmentAreApart(t *testing.T) {
	bundle := plan.Bundle{"f.yaml": []byte(fragmentHeader + "vars: {unit: {default: kubelet}}\nsteps:\n  - {uses: systemd.restart, with: {unit: \"${{ vars.unit }}\"}}\n"),
		"plan.yaml": []byte(header + `steps:
  - id: g
    steps:
      - {id: a, uses: cluster.healthy}
      - {id: b, uses: ./f.yaml, with: {unit: b}}
      - {id: c, uses: ./f.yaml}
    hosts: c1
  - {id: d, uses: ./f.yaml, hosts: c2, with: {unit: d}}
`)}
	p, err := loadBundle("", "plan.yaml", bundle)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Expand(plan.Options{Catalog: catalog(t), Targets: inventory(2, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for id, unit := range map[string]string{"g/b/restart@c1": "b", "g/c/restart@c1": "kubelet", "d/restart@c2": "d"} {
		if n := g.Lookup(id); n == nil || n.With["unit"] != unit {
			t.Errorf("%s: got %+v, want unit %s", id, n, unit)
		}
	}
}
