package plans_test

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/plans"
	"upgrader.dev/upgrader/steps"
)

var update = flag.Bool("update", false, "write the golden expansions anew")

// Every runbook in the program is valid, expands over three control planes and two workers as its golden file says, and
// binds at every node: what is shipped can run.
func TestRunbooks(t *testing.T) {
	catalog, err := steps.Catalog(steps.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(plans.FS, "*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			p, err := plan.LoadFS(plans.FS, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(catalog); err != nil {
				t.Fatal(err)
			}
			g, err := p.Expand(plan.Options{Catalog: catalog, Targets: hosts(3, 2)})
			if err != nil {
				t.Fatal(err)
			}
			compare(t, strings.TrimSuffix(name, ".yaml")+".golden", outline(g))
			sameVars(t, p)
			bindAll(t, catalog, g)
		})
	}
}

// A single control plane without workers is a cluster too: what selects nobody there is left out, and nothing waits
// for it.
func TestRunbooksOnOneHost(t *testing.T) {
	catalog, err := steps.Catalog(steps.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := fs.Glob(plans.FS, "*.yaml")
	for _, name := range files {
		p, err := plan.LoadFS(plans.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		g, err := p.Expand(plan.Options{Catalog: catalog, Targets: hosts(1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		index := g.Index()
		for _, n := range g.Nodes {
			if len(n.Needs) > 0 && len(index.Behind(n.Needs)) == 0 {
				t.Errorf("%s: %s needs %s, of which nothing is there", name, n.ID, n.Needs)
			}
		}
	}
}

// sameVars holds every runbook to the same variables, so that a command line learned for one fits the next.
func sameVars(t *testing.T, p *plan.Plan) {
	t.Helper()
	var got []string
	for _, v := range p.Vars {
		got = append(got, v.Name+" "+v.Type)
		if v.Doc == "" || v.Required {
			t.Errorf("variable %s must be explained and have a default", v.Name)
		}
	}
	want := []string{"version version", "revision string", "drainTimeout duration", "maxUnavailable intOrPercent", "soak duration"}
	if d := diff.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func bindAll(t *testing.T, catalog *engine.Catalog, g *engine.Graph) {
	t.Helper()
	b := plan.NewBinder(catalog)
	for i := range g.Nodes {
		n := &g.Nodes[i]
		bound, err := b.Bind(n, engine.Facts{"kubelet@" + n.Target.Name: "1.20.0"}, nil) // as every run knows from its start
		if err != nil || bound.Step == nil {
			t.Errorf("%s: %+v %v", n.ID, bound, err)
		}
	}
}

func hosts(controlPlanes, workers int) []engine.Target {
	var list []engine.Target
	for i := range controlPlanes {
		list = append(list, engine.Target{Name: fmt.Sprintf("cp%d", i+1), Groups: []string{"control-plane"}})
	}
	for i := range workers {
		list = append(list, engine.Target{Name: fmt.Sprintf("w%d", i+1), Groups: []string{"workers"}})
	}
	return list
}

// outline shows a graph for people: what is done where, in the order of the nodes.
func outline(g *engine.Graph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s -> %s\n", g.Plan, g.From, g.To)
	for _, r := range g.Groups {
		fmt.Fprintf(&b, "rollout %s over %s: maxUnavailable %d, canary %d, soak %s, maxFailures %d\n",
			r.ID, strings.Join(r.Hosts, " "), r.MaxUnavailable, r.Canary, r.Soak, r.MaxFailures)
	}
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "\n%s: %s", n.ID, n.Kind)
		if n.Gate {
			b.WriteString(" (gate)")
		}
		if len(n.With) > 0 {
			fmt.Fprintf(&b, " %v", n.With)
		}
		fmt.Fprintf(&b, "\n  timeout %s, after %s\n", n.Timeout, cmp.Or(strings.Join(n.Needs, " "), "nothing"))
	}
	b.WriteString("\n")
	for _, barrier := range g.Barriers {
		fmt.Fprintf(&b, "%s is after %s\n", barrier.ID, strings.Join(barrier.Needs, " "))
	}
	return b.String()
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(string(want), got); d != "" {
		t.Errorf("%s (go test ./plans -update writes it anew):\n%s", file, d)
	}
}
