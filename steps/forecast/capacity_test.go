package forecast_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/kube"
)

// Where pods find no other node, and why.
func TestCapacity(t *testing.T) {
	const zone, host = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
	for _, tt := range []struct {
		name  string
		world func() *cluster
		plan  forecast.Plan
		want  []string
	}{
		{"one node has room for what another leaves", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-a", "w1", cpu(1000))
			c.pod("shop/cart-b", "w2", cpu(1000))
			return c
		}, one("w1", "w2"), nil},
		{"what moved counts where it went", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-a", "w1", cpu(1000))
			c.pod("shop/cart-b", "w2", cpu(1100))
			return c
		}, one("w1"), []string{"blocker drain.capacity: w1: 1 pod fits on no other node while w1 is out of service " +
			"[shop/cart-a (1000m CPU, 64Mi memory): w2 has 900m of CPU left]"}},
		{"a node that is back has room again", func() *cluster {
			c := workers(3)
			for i := range 6 {
				c.pod(fmt.Sprintf("shop/cart-%d", i), fmt.Sprintf("w%d", i%2+1), cpu(600))
			}
			return c
		}, one("w1", "w2", "w3"), nil},
		{"but not where two are away at once", func() *cluster {
			c := workers(3)
			for i := range 6 {
				c.pod(fmt.Sprintf("shop/cart-%d", i), fmt.Sprintf("w%d", i%2+1), cpu(600))
			}
			return c
		}, several(2, "w1", "w2"), []string{"blocker drain.capacity: w2: 3 pods fit on no other node while w1, w2 are out of service " +
			"[shop/cart-1 (600m CPU, 64Mi memory): w3 has 200m of CPU left; w1 is out of service at the same time\n" +
			"shop/cart-3 (600m CPU, 64Mi memory): w3 has 200m of CPU left; w1 is out of service at the same time\n" +
			"shop/cart-5 (600m CPU, 64Mi memory): w3 has 200m of CPU left; w1 is out of service at the same time]"}},
		{"a node cordoned by hand takes nothing and stays cordoned", func() *cluster {
			c := workers(3)
			c.Rooms[1].Unschedulable = true
			c.Rooms[2].Pods = 0
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w1", pending)
			return c
		}, one("w2", "w1"), []string{
			"blocker drain.capacity: w1: 2 pods fit on no other node while w1 is out of service " +
				"[shop/cart-a (100m CPU, 64Mi memory): w2 is cordoned; w3 takes no more pods\n" +
				"shop/cart-b (100m CPU, 64Mi memory): w2 is cordoned; w3 takes no more pods]",
			"note drain.single: w1: 1 workload is out of service until the only pod runs elsewhere [Deployment shop/cart]",
		}},
		{"memory, devices and ports run out too", func() *cluster {
			c := workers(2)
			port := func(w *kube.PlacedPod) { w.Ports = []kube.HostPort{{IP: "0.0.0.0", Protocol: "TCP", Port: 80}} }
			c.pod("shop/big-a", "w1", func(w *kube.PlacedPod) { w.Memory = 4090 * mib })
			c.pod("shop/big-b", "w2")
			c.pod("shop/gpu-a", "w1", func(w *kube.PlacedPod) { w.Extended = map[string]int64{"nvidia.com/gpu": 1} })
			c.pod("shop/gpu-b", "w2")
			c.pod("shop/web-a", "w1", port)
			c.pod("shop/web-b", "w2", port)
			return c
		}, one("w1"), []string{"blocker drain.capacity: w1: 3 pods fit on no other node while w1 is out of service " +
			"[shop/big-a (100m CPU, 4090Mi memory): w2 has 3904Mi of memory left\n" +
			"shop/gpu-a (100m CPU, 64Mi memory): w2 has 0 of nvidia.com/gpu left\n" +
			"shop/web-a (100m CPU, 64Mi memory): w2 has port 80/TCP taken]"}},
		{"one on each node, by anti-affinity: the others run on", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-a", "w1", apart(host))
			c.pod("shop/cart-b", "w2", apart(host))
			c.budget("shop/cart", "cart", 1, 2, 2)
			return c
		}, one("w1", "w2"), []string{
			"note drain.capacity: w1: 1 pod waits by rules about their neighbours while w1 is out of service; others like them run on " +
				"[shop/cart-a (100m CPU, 64Mi memory): w2 has a pod that it must stand apart from, by kubernetes.io/hostname]",
			"note drain.capacity: w2: 1 pod waits by rules about their neighbours while w2 is out of service; others like them run on " +
				"[shop/cart-b (100m CPU, 64Mi memory): w1 has a pod that it must stand apart from, by kubernetes.io/hostname]",
		}},
		{"one in each zone finds a node there", func() *cluster {
			c := workers(4)
			c.pod("shop/cart-a", "w1", apart(zone))
			c.pod("shop/cart-b", "w2", apart(zone))
			return c
		}, one("w1", "w2", "w3", "w4"), nil},
		{"those who stand there may want to stand apart", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w2", apart(host))
			return c
		}, one("w1"), []string{"note drain.capacity: w1: 1 pod waits by rules about their neighbours while w1 is out of service; others like them run on " +
			"[shop/cart-a (100m CPU, 64Mi memory): w2 has a pod that must stand apart from it, by kubernetes.io/hostname]"}},
		{"an even spread over hosts counts the one that is drained", func() *cluster {
			c := workers(3)
			for i := range 3 {
				c.pod(fmt.Sprintf("shop/cart-%d", i), fmt.Sprintf("w%d", i+1), spread(host))
			}
			c.budget("shop/cart", "cart", 2, 3, 3)
			return c
		}, one("w1"), []string{"note drain.capacity: w1: 1 pod waits by rules about their neighbours while w1 is out of service; others like them run on " +
			"[shop/cart-0 (100m CPU, 64Mi memory): w2, w3 would make its topology spread by kubernetes.io/hostname uneven (maxSkew 1)]"}},
		{"a budget that such a pod uses up keeps the next one", func() *cluster {
			c := workers(2)
			c.pod("shop/cart-a", "w1", spread(host))
			c.pod("shop/cart-b", "w1", spread(host))
			c.pod("shop/cart-c", "w2", spread(host))
			c.budget("shop/cart", "cart", 2, 3, 3)
			return c
		}, one("w1"), []string{"blocker drain.capacity: w1: 2 pods fit on no other node while w1 is out of service " +
			"[shop/cart-a (100m CPU, 64Mi memory): w2 would make its topology spread by kubernetes.io/hostname uneven (maxSkew 1)\n" +
			"shop/cart-b (100m CPU, 64Mi memory): w2 would make its topology spread by kubernetes.io/hostname uneven (maxSkew 1)]"}},
		{"pods that must stand together move together, whoever comes first", func() *cluster {
			c := workers(2)
			web := kube.PlacedPod{Pod: kube.Pod{Namespace: "shop", Labels: map[string]string{"app": "web"}}}
			c.pod("shop/cart-a", "w1", cpu(500), func(w *kube.PlacedPod) { w.Together = []kube.Peers{like(&web, host)} })
			c.pod("shop/cart-b", "w1", cpu(500), func(w *kube.PlacedPod) { w.Together = []kube.Peers{like(&web, host)} })
			c.pod("shop/web-a", "w1")
			c.pod("shop/web-b", "w1", func(w *kube.PlacedPod) { w.Together = []kube.Peers{like(&web, host)} })
			return c
		}, one("w1"), nil},
		{"a volume of a zone keeps its pod in the zone", func() *cluster {
			c := workers(3)
			c.Rooms[2].Pods = 0
			c.pod("shop/db-0", "w1", owned("StatefulSet", "db"), volume("pv1", "w1", "w3"))
			c.pod("shop/db-1", "w2", owned("StatefulSet", "db"))
			return c
		}, one("w1"), []string{"blocker drain.capacity: w1: 1 pod fits on no other node while w1 is out of service " +
			"[shop/db-0 (100m CPU, 64Mi memory): w2 cannot reach volume pv1; w3 takes no more pods]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, words(forecast.Drains(tt.plan, tt.world().World).Findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// drawn is a world of a few nodes and pods whose requests, taints, rules and budgets are random, and a plan over it.
func drawn(t *rapid.T) (*cluster, forecast.Plan) {
	c := workers(rapid.IntRange(1, 6).Draw(t, "nodes"))
	var nodes []string
	for i := range c.Rooms {
		r := &c.Rooms[i]
		r.CPU, r.Pods = rapid.Int64Range(0, 3000).Draw(t, "allocatable"), rapid.Int64Range(0, 8).Draw(t, "pods")
		r.Unschedulable = rapid.IntRange(0, 9).Draw(t, "cordoned") == 0
		nodes = append(nodes, r.Node)
	}
	rules := []func(*kube.PlacedPod){
		func(*kube.PlacedPod) {}, apart("kubernetes.io/hostname"), apart("topology.kubernetes.io/zone"), spread("kubernetes.io/hostname"),
		volume("pv", nodes[0]), bare, scratch, pending, finished, terminating, owned("DaemonSet", "agent"), tolerant,
	}
	for i := range rapid.IntRange(0, 25).Draw(t, "workloads") {
		name := fmt.Sprintf("shop/%s-%d", rapid.SampledFrom([]string{"cart", "web"}).Draw(t, "app"), i)
		c.pod(name, rapid.SampledFrom(nodes).Draw(t, "node"), cpu(rapid.Int64Range(0, 1500).Draw(t, "cpu")), rapid.SampledFrom(rules).Draw(t, "rule"))
	}
	c.budget("shop/cart", "cart", rapid.Int32Range(0, 3).Draw(t, "desired"), 3, 3)
	c.webhook("cart", nil, nil).Selects = func(p kube.Pod) bool { return p.Labels["app"] == "web" }
	plan := forecast.Plan{}
	for rest := rapid.Permutation(nodes).Draw(t, "order"); len(rest) > 0; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "group")
		plan.Groups = append(plan.Groups, forecast.Group{Nodes: rest[:n], AtOnce: rapid.IntRange(0, 3).Draw(t, "atOnce"), Rules: ready(asShipped)})
		rest = rest[n:]
	}
	return c, plan
}

// Whatever node the forecast moves a pod to has room for all that stand there then, by a count that knows nothing of how
// the forecast keeps its books.
func TestPodsOnlyMoveWhereThereIsRoom(t *testing.T) {
	moved, waited, returned := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c, plan := drawn(t)
		b := newBooks(c.World)
		for _, o := range forecast.Drains(plan, c.World).Nodes {
			b.leave(o)
			for _, m := range o.Moves {
				b.at[m.Pod] = m.To
				switch {
				case m.From == m.To || m.From != "" && m.From != o.Node:
					t.Fatalf("at %s: %s leaves %q for %q", o.Node, m.Pod, m.From, m.To)
				case m.From == "":
					returned++
				case m.To == "":
					waited++
				default:
					moved++
				}
			}
			for _, m := range o.Moves {
				b.within(t, m)
			}
		}
	})
	if moved == 0 || waited == 0 || returned == 0 {
		t.Errorf("%d pods moved, %d waited, %d of them found a node", moved, waited, returned)
	}
}

// books say where the pods of a world are.
type books struct {
	forecast.World
	at map[string]string
}

func newBooks(w forecast.World) books {
	b := books{w, map[string]string{}}
	for _, p := range w.Pods {
		if !p.Finished && !p.Terminating {
			b.at[p.String()] = p.Node
		}
	}
	return b
}

// leave takes from a node what its drain evicts for good.
func (b books) leave(o forecast.Outlook) {
	for _, p := range b.Pods {
		if p.OwnerKind == "" && b.at[p.String()] == o.Node {
			b.at[p.String()] = ""
		}
	}
}

// within fails the test if a pod came to a node that has more on it than it can take. What a pod does not request cannot
// be missing.
func (b books) within(t *rapid.T, m forecast.Move) {
	cpu, pods, asked := int64(0), int64(0), int64(0)
	for _, p := range b.Pods {
		if m.To != "" && b.at[p.String()] == m.To {
			cpu, pods = cpu+p.CPU, pods+1
		}
		if p.String() == m.Pod {
			asked = p.CPU
		}
	}
	for _, r := range b.Rooms {
		if r.Node == m.To && r.Unschedulable {
			t.Fatalf("%s goes to %s, which is cordoned", m.Pod, m.To)
		}
		if r.Node == m.To && (pods > r.Pods || asked > 0 && cpu > r.CPU) {
			t.Fatalf("%s: %d pods with %dm, but it takes %d with %dm", m.To, pods, cpu, r.Pods, r.CPU)
		}
	}
}

// The order in which the API lists things changes nothing.
func TestOrderOfTheWorldDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, plan := drawn(t)
		want := forecast.Drains(plan, c.World)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		other := forecast.World{Rooms: slices.Clone(c.Rooms), Pods: slices.Clone(c.Pods), Budgets: slices.Clone(c.Budgets), Webhooks: slices.Clone(c.Webhooks)}
		random.Shuffle(len(other.Rooms), func(i, j int) { other.Rooms[i], other.Rooms[j] = other.Rooms[j], other.Rooms[i] })
		random.Shuffle(len(other.Pods), func(i, j int) {
			other.Pods[i], other.Pods[j] = other.Pods[j], other.Pods[i]
		})
		if diff := cmp.Diff(want, forecast.Drains(plan, other)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// large is a cluster of 500 nodes, 15,000 pods in 300 workloads, a third of them with rules, and 200 budgets.
func large() (*cluster, forecast.Plan) {
	c := workers(500)
	rules := []func(*kube.PlacedPod){
		func(*kube.PlacedPod) {}, apart("kubernetes.io/hostname"), spread("topology.kubernetes.io/zone"), spread("kubernetes.io/hostname"),
		func(*kube.PlacedPod) {}, func(*kube.PlacedPod) {}, func(*kube.PlacedPod) {}, func(*kube.PlacedPod) {}, func(*kube.PlacedPod) {},
	}
	for i := range 15_000 {
		app := i % 300
		c.pod(fmt.Sprintf("shop/app%d-%d", app, i/300), fmt.Sprintf("w%d", (i/300*300+app*7)%500+1), cpu(int64(20+app%40)), rules[app%len(rules)])
	}
	for i := range 200 {
		c.budget(fmt.Sprintf("shop/app%d", i), fmt.Sprintf("app%d", i), 49, 50, 50)
	}
	for i := range 5 {
		c.webhook(fmt.Sprintf("app%d", i), nil, nil).Selects = func(p kube.Pod) bool { return p.Labels["app"] == fmt.Sprintf("app%d", i) }
	}
	var nodes []string
	for _, r := range c.Rooms {
		nodes = append(nodes, r.Node)
	}
	return c, several(100, nodes...)
}

func BenchmarkDrains(b *testing.B) {
	c, plan := large()
	for b.Loop() {
		forecast.Drains(plan, c.World)
	}
}

// A fleet with room is moved about whole without a finding.
func TestLargeClusterIsClean(t *testing.T) {
	c, plan := large()
	f := forecast.Drains(plan, c.World)
	moves, longest := 0, time.Duration(0)
	for _, o := range f.Nodes {
		moves, longest = moves+len(o.Moves), max(longest, o.Wait)
	}
	if moves < 15_000 || longest < 30*time.Second || len(f.Findings) > 0 {
		t.Errorf("%d moves, the longest wait %s, findings %v", moves, longest, words(f.Findings))
	}
}
