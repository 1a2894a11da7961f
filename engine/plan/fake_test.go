package plan_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// The kinds of these tests: the shapes of the real ones, doing nothing.

type fake struct{}

func (*fake) Observe(context.Context, engine.Scene) ([]engine.Change, error) { return nil, nil }

type gate struct{ fake }

func (*gate) Gate() {}

type install struct {
	fake
	Packages map[string]string `yaml:"packages" required:"true" doc:"Revisions by package."`
	Hold     bool              `yaml:"hold" default:"true"`
}

type upgrade struct {
	fake
	Version string   `yaml:"version" default:"${{ versions.to }}"`
	Ignore  []string `yaml:"ignorePreflightErrors"`
}

func (*upgrade) Disrupts() {}

func (u *upgrade) Validate() error {
	if u.Version == "" {
		return errors.New("version is needed")
	}
	return nil
}

func (*upgrade) DefaultTimeout() time.Duration { return 30 * time.Minute }

type drain struct {
	fake
	Force bool          `yaml:"force"`
	Grace time.Duration `yaml:"gracePeriod"`
	Limit int           `yaml:"limit"`
}

type run struct {
	fake
	Run    string            `yaml:"run" required:"true" expr:"never"`
	Env    map[string]string `yaml:"env"`
	Unless string            `yaml:"unless" expr:"never"`
	Fact   string            `yaml:"fact"`
}

type approval struct {
	fake
	Message   string   `yaml:"message" required:"true"`
	Approvers []string `yaml:"approvers"`
}

type wait struct {
	fake
	For time.Duration `yaml:"for" required:"true"`
}

func (w *wait) Validate() error {
	if w.For > 24*time.Hour {
		return errors.New("for is longer than a day")
	}
	return nil
}

type restart struct {
	fake
	Unit string `yaml:"unit" required:"true"`
	Mode string `yaml:"mode" enum:"restart,reload"`
}

func catalog(t testing.TB) *engine.Catalog {
	t.Helper()
	host := func(name string, n func() engine.Step) engine.Kind {
		return engine.Kind{Name: name, Doc: "fake", Scope: engine.OnHost, New: n}
	}
	cluster := func(name string, n func() engine.Step) engine.Kind {
		return engine.Kind{Name: name, Doc: "fake", Scope: engine.OnCluster, New: n}
	}
	c, err := engine.NewCatalog(
		cluster("cluster.healthy", func() engine.Step { return &gate{} }),
		cluster("version.skew", func() engine.Step { return &gate{} }),
		cluster("approval", func() engine.Step { return &approval{} }),
		cluster("wait", func() engine.Step { return &wait{} }),
		host("packages.available", func() engine.Step { return &install{} }),
		host("packages.install", func() engine.Step { return &install{} }),
		host("kubeadm.upgrade", func() engine.Step { return &upgrade{} }),
		host("node.drain", func() engine.Step { return &drain{} }),
		host("node.ready", func() engine.Step { return &upgrade{} }),
		host("node.uncordon", func() engine.Step { return &fake{} }),
		host("systemd.restart", func() engine.Step { return &restart{} }),
		host("ssh.run", func() engine.Step { return &run{} }),
	)
	if err != nil {
		t.Fatal(err)
	}
	return c.WithChecks(engine.Check{Name: "host.swap", Doc: "fake"}, engine.Check{Name: "host.disk", Doc: "fake"}, engine.Check{Name: "drain.delete", Doc: "fake", Where: "[a-z0-9-]+/.+"}, engine.Check{Name: "etcd.quorum", Doc: "fake", Firm: true})
}

// inventory is the hosts c1, c2, ... and w1, w2, ...; the workers alternate between the zones a and b, two and two.
func inventory(controlPlanes, workers int) []engine.Target {
	var list []engine.Target
	for i := range controlPlanes {
		list = append(list, engine.Target{Name: "c" + string(rune('1'+i)), Groups: []string{"control-plane"}})
	}
	for i := range workers {
		list = append(list, engine.Target{Name: "w" + string(rune('1'+i)), Groups: []string{"pool", "workers"},
			Labels: map[string]string{"zone": string(rune('a' + i/2%2))}})
	}
	return list
}

// outline shows a graph for people: a line per node and per barrier.
func outline(g *engine.Graph) string {
	var b strings.Builder
	for _, n := range g.Nodes {
		b.WriteString(n.ID)
		if n.When != "" {
			b.WriteString(" when " + n.When)
		}
		if len(n.Needs) > 0 {
			b.WriteString(" <- " + strings.Join(n.Needs, " "))
		}
		b.WriteString("\n")
	}
	for _, barrier := range g.Barriers {
		b.WriteString(barrier.ID + " <- " + strings.Join(barrier.Needs, " ") + "\n")
	}
	return b.String()
}
