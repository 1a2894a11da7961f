package plan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

const header = "apiVersion: upgrader.dev/v1\nkind: Plan\nname: test\nversions: {from: \">=1.27.0 <1.28.0\", to: 1.28.15}\n"

func expand(t testing.TB, doc string, o plan.Options) *engine.Graph {
	t.Helper()
	p, err := parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if o.Catalog == nil {
		o.Catalog = catalog(t)
	}
	if o.Targets == nil {
		o.Targets = inventory(3, 5)
	}
	g, err := p.Expand(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var orders = map[string]struct{ steps, want string }{
	"one after the other, guard first": {`
  - uses: cluster.healthy
  - {id: ask, uses: approval, with: {message: x}}`, `
skew-guard
healthy <- skew-guard
ask <- healthy`},
	"a guard that comes late is none": {`
  - {id: ask, uses: approval, with: {message: x}}
  - uses: version.skew`, `
skew-guard
ask <- skew-guard
skew <- ask`},
	"a guard on a condition is none": {`
  - {uses: version.skew, when: "1 == 2"}
  - {id: ask, uses: approval, with: {message: x}}`, `
skew-guard
skew when false <- skew-guard
ask <- skew`},
	"a guard among the gates at the beginning is one": {`
  - id: preflight
    steps:
      - uses: cluster.healthy
      - uses: version.skew
  - {id: ask, uses: approval, with: {message: x}}`, `
preflight/healthy
preflight/skew <- preflight/healthy
ask <- preflight/skew`},
	"needs make a graph": {`
  - {id: a, uses: version.skew}
  - {id: b, uses: cluster.healthy, needs: []}
  - {id: c, uses: cluster.healthy, needs: [a]}
  - {id: d, uses: cluster.healthy, needs: [b, c]}`, `
a
b
c <- a
d <- b c`},
	"all hosts at once, and what follows waits for all": {`
  - uses: version.skew
  - {uses: node.drain, hosts: control-plane}
  - uses: cluster.healthy`, `
skew
drain@c1 <- skew
drain@c2 <- skew
drain@c3 <- skew
healthy <- drain/*
drain/* <- drain@c1 drain@c2 drain@c3`},
	"a group in order on each host": {`
  - uses: version.skew
  - id: g
    hosts: "control-plane[1:]"
    steps: [{uses: node.drain}, {uses: node.drain}, {uses: node.uncordon}]
  - uses: cluster.healthy`, `
skew
g/drain@c2 <- skew
g/drain-2@c2 <- g/drain@c2
g/uncordon@c2 <- g/drain-2@c2
g/drain@c3 <- skew
g/drain-2@c3 <- g/drain@c3
g/uncordon@c3 <- g/drain-2@c3
healthy <- g/*
g/* <- g/uncordon@c2 g/uncordon@c3`},
	"a group without hosts has an order of its own": {`
  - uses: version.skew
  - id: g
    steps:
      - {id: x, uses: cluster.healthy}
      - {id: y, uses: cluster.healthy, needs: []}
      - {id: z, uses: node.drain, hosts: c1, needs: [x]}
  - uses: cluster.healthy`, `
skew
g/x <- skew
g/y <- skew
g/z@c1 <- g/x
healthy <- g/*
g/* <- g/y g/z@c1`},
	"many that wait for many wait for one barrier": {`
  - {id: a, uses: version.skew}
  - {id: b, uses: node.drain, hosts: "control-plane[:2]"}
  - {id: c, uses: node.drain, hosts: "control-plane[:2]", needs: [a, b]}
  - id: g
    needs: [a, c]
    steps:
      - {id: x, uses: node.drain, hosts: "control-plane[:2]"}
      - {id: y, uses: cluster.healthy, needs: []}
  - {id: d, uses: cluster.healthy, needs: [b, g]}`, `
a
b@c1 <- a
b@c2 <- a
c@c1 <- */c
c@c2 <- */c
g/x@c1 <- */g
g/x@c2 <- */g
g/y <- */g
d <- b/* g/*
b/* <- b@c1 b@c2
*/c <- a b/*
c/* <- c@c1 c@c2
*/g <- a c/*
g/x/* <- g/x@c1 g/x@c2
g/* <- g/x/* g/y`},
	"nobody there is nobody to wait for": {`
  - uses: version.skew
  - {id: none, hosts: "control-plane[3:]", steps: [{uses: node.drain}]}
  - uses: cluster.healthy`, `
skew
healthy <- skew`},
	"finally runs in order and waits for nothing else": {`
  - uses: version.skew
finally:
  - uses: cluster.healthy
  - {id: last, uses: cluster.healthy, when: "run.state == 'failed'"}`, `
skew
healthy
last when run.state == "failed" <- healthy`},
	"conditions are decided as far as possible": {`
  - uses: version.skew
  - {id: a, uses: node.drain, hosts: "control-plane[:2]", when: "host.name == 'c1'"}
  - {id: b, uses: cluster.healthy, when: "versions.minor == '1.28'"}
  - {id: c, uses: cluster.healthy, when: "versions.to == facts['seen'] || false"}
  - {id: d, uses: cluster.healthy, when: "facts['x'] == 'y' && versions.to == '2'"}
  - {id: k, uses: cluster.healthy, when: "facts[versions.to] in ['versions.to', versions.minor]"}
  - {id: e, when: "facts['e'] == '1'", hosts: c1, steps: [{uses: node.drain, when: "facts['f'] == host.name"}]}`, `
skew
a@c1 <- skew
a@c2 when false <- skew
b <- a/*
c when "1.28.15" == facts["seen"] <- b
d when false <- c
k when facts["1.28.15"] in ["versions.to", "1.28"] <- d
e/drain@c1 when (facts["e"] == "1") && (facts["f"] == "c1") <- k
a/* <- a@c1 a@c2`},
}

// The order of a plan: what stands above, what needs say, hosts in order inside a group, and the skew guard first.
func TestExpandOrder(t *testing.T) {
	for name, c := range orders {
		t.Run(name, func(t *testing.T) {
			got := outline(expand(t, header+"steps:"+c.steps+"\n", plan.Options{}))
			if d := cmp.Diff(strings.TrimPrefix(c.want, "\n")+"\n", got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Host patterns select what they say, in the inventory's order, each host once.
func TestHostPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"all": "c1 c2 c3 w1 w2 w3 w4 w5", "control-plane": "c1 c2 c3", `"control-plane[0]"`: "c1", `"control-plane[1:]"`: "c2 c3",
		`"workers[1:3]"`: "w2 w3", `"workers[:2]"`: "w1 w2", `"workers[7:]"`: "", "pool": "w1 w2 w3 w4 w5", "w3": "w3",
		"zone=a": "w1 w2 w5", `"zone!=a"`: "c1 c2 c3 w3 w4", `"!zone"`: "c1 c2 c3", `"zone=b,!gpu"`: "w3 w4",
		`[w4, "control-plane[0]", w4, zone=b]`: "c1 w3 w4",
	} {
		g := expand(t, header+"steps:\n  - uses: version.skew\n  - {id: d, uses: node.drain, hosts: "+pattern+"}\n", plan.Options{})
		var got []string
		for _, n := range g.Nodes {
			if n.Kind == "node.drain" {
				got = append(got, n.Target.Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", pattern, got, want)
		}
	}
}

// Rollouts: percentages round down to at least one, hosts are spread over a label, soaks can be shortened, and a group
// that says nothing takes one host at a time.
func TestRollouts(t *testing.T) {
	doc := header + `
vars: {share: {type: intOrPercent, default: 40%}}
steps:
  - {id: one, hosts: workers, steps: [{uses: node.drain}]}
  - id: many
    hosts: workers
    rollout: {canary: 9, maxUnavailable: "${{ vars.share }}", soak: 1m, spreadBy: zone, maxFailures: 1}
    steps: [{uses: node.drain}]
  - {id: few, hosts: workers, uses: node.drain, rollout: {maxUnavailable: 10%, spreadBy: rack}}
  - {id: gates, hosts: workers, uses: node.drain}
`
	g := expand(t, doc, plan.Options{Compress: 3 * time.Second})
	inOrder := []string{"w1", "w2", "w3", "w4", "w5"}
	want := []engine.Group{
		{ID: "one", Hosts: inOrder, MaxUnavailable: 1},
		{ID: "many", Hosts: []string{"w1", "w3", "w2", "w4", "w5"}, MaxUnavailable: 2, Canary: 5, Soak: 3 * time.Second, MaxFailures: 1},
		{ID: "few", Hosts: inOrder, MaxUnavailable: 1},
	}
	if d := cmp.Diff(want, g.Groups); d != "" {
		t.Error(d)
	}
	if n := g.Lookup("gates@w1"); n.Group != "" {
		t.Errorf("a single step without a rollout is in group %q", n.Group)
	}
	if n := g.Lookup("many/drain@w4"); n.Group != "many" {
		t.Errorf("got group %q", n.Group)
	}
}

// What the end of its time means stands in the graph where it is more than a failure; the word for what holds anyway changes nothing,
// not even the digest.
func TestOnTimeout(t *testing.T) {
	doc := func(step string) string {
		return header + `
steps:
  - {id: drain, uses: node.drain, hosts: workers, rollout: {maxFailures: 1}` + step + `}
`
	}
	silent, skip, stop := expand(t, doc(""), plan.Options{}), expand(t, doc(", onTimeout: skip"), plan.Options{}), expand(t, doc(", onTimeout: stop"), plan.Options{})
	if skip.Digest != silent.Digest || skip.Lookup("drain@w1").OnTimeout != "" {
		t.Errorf("skip: %+v", skip.Lookup("drain@w1"))
	}
	if n := stop.Lookup("drain@w2"); n.OnTimeout != engine.StopRun || stop.Digest == silent.Digest || n.Digest != silent.Lookup("drain@w2").Digest {
		t.Errorf("stop: %+v", n)
	}
}

// Values are filled in with their types, secrets stay references, defaults that are expressions become settings, and
// what only a run knows stays in the text.
func TestValues(t *testing.T) {
	doc := header + `
vars:
  pause: {type: duration, default: 90s}
  count: {type: int, default: 2}
  names: {type: list, default: [ann, bob]}
  token: {type: secret, default: "env:TOKEN"}
  where: {default: here}
steps:
  - {uses: node.drain, hosts: c1, timeout: "${{ vars.pause }}", retry: {attempts: "${{ vars.count }}", max: 1m, on: error.exitCode == 1},
     with: {limit: "${{ vars.count * 3 }}", gracePeriod: "${{ vars.pause }}", force: "${{ vars.count > 1 }}"}}
  - {uses: kubeadm.upgrade, hosts: c1, with: {ignorePreflightErrors: "${{ vars.names }}"}}
  - {uses: ssh.run, hosts: c1, retry: {backoff: 1m}, with: {run: x, env: {T: "${{ vars.token }}", AT: "${{ vars.where }}/${{ host.name }}/${{ facts['os@' + host.name] }}"}}}
  - {uses: approval, with: {message: "${{ hosts('workers').size() }} workers, ${{ hosts('workers').map(h, h.name).join(' ') }}"}}
`
	g := expand(t, doc, plan.Options{Vars: map[string]string{"where": "there"}})
	want := map[string]any{
		"drain@c1":   map[string]any{"limit": "6", "gracePeriod": "1m30s", "force": "true"},
		"upgrade@c1": map[string]any{"ignorePreflightErrors": []any{"ann", "bob"}, "version": "1.28.15"},
		"run@c1":     map[string]any{"run": "x", "env": map[string]any{"T": "env:TOKEN", "AT": `there/c1/${{ facts["os@" + host.name] }}`}},
		"approval":   map[string]any{"message": "5 workers, w1 w2 w3 w4 w5"},
	}
	for id, with := range want {
		if d := cmp.Diff(with, any(g.Lookup(id).With)); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
	n := g.Lookup("drain@c1")
	if n.Timeout != 90*time.Second || n.Retry != (engine.Retry{Attempts: 2, Backoff: 2 * time.Second, Max: time.Minute, On: "error.exitCode == 1"}) {
		t.Errorf("got %v %+v", n.Timeout, n.Retry)
	}
	if n := g.Lookup("run@c1"); n.Retry != (engine.Retry{Attempts: 3, Backoff: time.Minute, Max: time.Minute}) {
		t.Errorf("no pause is shorter than the first, got %+v", n.Retry)
	}
	if n := g.Lookup("upgrade@c1"); n.Retry != (engine.Retry{Attempts: 3, Backoff: 2 * time.Second, Max: 30 * time.Second}) {
		t.Errorf("where the plan writes no retry, it is as its tags say, got %+v", n.Retry)
	}
	if n := g.Lookup("upgrade@c1"); n.Timeout != 30*time.Minute || n.Gate {
		t.Errorf("the kind's own timeout is 30m, got %v", n.Timeout)
	}
	if n := g.Lookup("skew-guard"); !n.Gate {
		t.Error("the guard is a gate")
	}
	if d := cmp.Diff(map[string]string{"pause": "1m30s", "count": "2", "names": "ann,bob", "token": "env:TOKEN", "where": "there"}, g.Vars); d != "" {
		t.Error(d)
	}
}

// The digest of a node changes with what is done, and with nothing else.
func TestDigests(t *testing.T) {
	doc := header + "steps:\n  - {uses: node.drain, hosts: control-plane, with: {limit: 1}}\n"
	base := expand(t, doc, plan.Options{})
	moved := expand(t, "# a comment\n"+doc, plan.Options{})
	if base.Digest != moved.Digest || base.Nodes[1].Digest != moved.Nodes[1].Digest {
		t.Error("a comment changes a digest")
	}
	if base.Nodes[1].At == moved.Nodes[1].At {
		t.Error("the place must follow the text")
	}
	other := expand(t, strings.Replace(doc, "limit: 1", "limit: 2", 1), plan.Options{})
	if base.Digest == other.Digest || base.Nodes[1].Digest == other.Nodes[1].Digest {
		t.Error("a setting does not change the digest")
	}
	if base.Nodes[1].Digest == base.Nodes[2].Digest {
		t.Error("two hosts have one digest")
	}
	if len(base.Digest) != 32 {
		t.Errorf("got %s", base.Digest)
	}
}

// Whatever the inventory: expansion is deterministic, survives JSON, names every node once, and every need is there and
// comes earlier, since this plan is written in order.
func TestExpandProperties(t *testing.T) {
	c := catalog(t)
	rapid.Check(t, func(t *rapid.T) {
		targets := inventory(rapid.IntRange(1, 5).Draw(t, "control planes"), rapid.IntRange(0, 9).Draw(t, "workers"))
		doc := header + `steps:
  - {uses: version.skew}
  - {uses: packages.available, hosts: all, with: {packages: {kubelet: "${{ versions.to }}"}}}
  - {id: first, hosts: "control-plane[0]", steps: &s [{uses: node.drain}, {uses: kubeadm.upgrade}, {uses: node.uncordon}]}
  - {id: rest, hosts: "control-plane[1:]", steps: *s}
  - {id: w, hosts: workers, rollout: {canary: 1, maxUnavailable: 30%, spreadBy: zone}, steps: *s}
  - {uses: cluster.healthy}
`
		p, err := parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		g, err := p.Expand(plan.Options{Catalog: c, Targets: targets})
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.Expand(plan.Options{Catalog: c, Targets: targets})
		if err != nil || !cmp.Equal(g, again) {
			t.Fatal("two expansions differ", err)
		}
		text, _ := json.Marshal(g)
		var back engine.Graph
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(*g, back) {
			t.Fatalf("JSON does not bring the graph back: %v %s", err, cmp.Diff(*g, back))
		}
		needsComeFirst(t, g)
	})
}

// needsComeFirst: every need is a node that comes before, or a barrier of such.
func needsComeFirst(t *rapid.T, g *engine.Graph) {
	index := g.Index()
	seen := map[string]bool{}
	for i, n := range g.Nodes {
		for _, j := range index.Behind(n.Needs) {
			if j >= i {
				t.Fatalf("%s needs %s, which does not come before it", n.ID, g.Nodes[j].ID)
			}
		}
		if len(n.Needs) > 0 && len(index.Behind(n.Needs)) == 0 {
			t.Fatalf("%s needs %v, of which nothing is there", n.ID, n.Needs)
		}
		if seen[n.ID] {
			t.Fatalf("%s is there twice", n.ID)
		}
		seen[n.ID] = true
	}
}

// One line over many hosts is done on all of them at once only if it cannot take them out of service.
func TestADisruptiveStepTakesItsHostsOneByOne(t *testing.T) {
	g := expand(t, `
apiVersion: upgrader.dev/v1
kind: Plan
name: p
versions: {from: ">=1.27.0 <1.28.0", to: 1.28.15}
steps:
  - {id: look, uses: packages.available, hosts: workers, with: {packages: {kubelet: 1.28.15-1.1}}}
  - {id: upgrade, uses: kubeadm.upgrade, hosts: workers}
  - {id: wide, uses: kubeadm.upgrade, hosts: workers, rollout: {maxUnavailable: 2}}
`, plan.Options{})
	got := map[string]int{}
	for _, grp := range g.Groups {
		got[grp.ID] = grp.MaxUnavailable
	}
	if d := cmp.Diff(map[string]int{"upgrade": 1, "wide": 2}, got); d != "" {
		t.Errorf("rollouts (-want +got):\n%s", d)
	}
}
