package sim

import (
	"slices"
	"strconv"
	"time"

	"upgrader.dev/upgrader/engine"
)

// kind is a verb of the toy plans.
type kind uint8

const (
	drain    kind = iota // cordon, evict every pod, wait until they are gone; takes its cordon back when it fails
	install              // a guarded job on the host
	reboot               // a once-effect that an observation can see
	command              // a once-effect that nothing can see: done when it was made
	uncordon             // of the cordon that the run made
	ready                // waits for the host
	gate                 // refuses or not
	approval             // asks a person
	wait                 // lets elapsed time pass
	apply                // a convergent write that concerns no host
	tell                 // a command that is run finally
)

func (k kind) String() string {
	return [...]string{"drain", "install", "reboot", "command", "uncordon", "ready", "gate", "approval", "wait", "apply", "tell"}[k]
}

// once says whether a repetition needs a person.
func (k kind) once() bool { return k == reboot || k == command || k == tell }

// job says whether its effect goes on when its controller has died.
func (k kind) job() bool { return k == install || k.once() }

// A step is one line of a toy plan.
type step struct {
	kind     kind
	name     string
	key      int // what it brings about in the world, whatever it is called
	text     int // grows when its line is edited
	skip     bool
	again    bool // retry.on says yes to everything
	outage   bool // the API is away while it works
	strict   bool // gate: refuses while a host after it is cordoned, but for those in work
	attempts int
	timeout  time.Duration
	late     string // what it means that its time is over
	backoff  time.Duration
	lasts    time.Duration // wait
}

// A unit is a sequence of steps over its hosts, or over the cluster (host 0).
type unit struct {
	name     string
	hosts    []int
	steps    []step
	needs    []int // earlier units
	rollout  bool
	finally  bool
	most     int // maxUnavailable
	canary   int
	failures int
	soak     time.Duration
}

// A plan is what the operator has written.
type plan struct {
	units []unit
	keys  int
	edits int
}

// A script is a plan expanded: the graph for the engine, and beside each node what it does in the toy world.
type script struct {
	graph *engine.Graph
	toys  []toy
	units []unit
	stops [][]int // by unit: its nodes
	group []int   // by group of the graph: the unit
}

// A toy is one node.
type toy struct {
	step
	host  int
	unit  int
	group int   // index in the graph, or -1
	needs []int // nodes, through barriers
}

// expand makes the graph of a plan. A changed plan is expanded anew; scripts are never changed.
func (p *plan) expand(names []string) *script {
	s := &script{graph: &engine.Graph{Plan: "toy", Digest: "plan-" + strconv.Itoa(p.edits)}, units: slices.Clone(p.units)}
	s.stops = make([][]int, len(p.units))
	for _, name := range names[1:] {
		s.graph.Targets = append(s.graph.Targets, engine.Target{Name: name})
	}
	for u := range p.units {
		s.add(u, names)
	}
	return s
}

func (s *script) add(u int, names []string) {
	un := &s.units[u]
	var before []string
	var beforeNodes []int
	for _, v := range un.needs {
		before = append(before, s.units[v].name+"/*")
		beforeNodes = append(beforeNodes, s.lasts(v)...)
	}
	group := -1
	if un.rollout {
		group = len(s.graph.Groups)
		s.graph.Groups = append(s.graph.Groups, un.group(names))
		s.group = append(s.group, u)
	}
	barrier := engine.Barrier{ID: un.name + "/*"}
	for _, h := range un.hosts {
		needs, nodes := before, beforeNodes
		for _, st := range un.steps {
			n := un.node(st, h, names)
			n.Needs = needs
			s.stops[u] = append(s.stops[u], len(s.graph.Nodes))
			s.toys = append(s.toys, toy{step: st, host: h, unit: u, group: group, needs: nodes})
			needs, nodes = []string{n.ID}, []int{len(s.graph.Nodes)}
			s.graph.Nodes = append(s.graph.Nodes, n)
		}
		barrier.Needs = append(barrier.Needs, needs...)
	}
	s.graph.Barriers = append(s.graph.Barriers, barrier)
}

// lasts are the nodes that end a unit, one a host.
func (s *script) lasts(u int) (nodes []int) {
	steps := len(s.units[u].steps)
	for i := steps - 1; i < len(s.stops[u]); i += steps {
		nodes = append(nodes, s.stops[u][i])
	}
	return nodes
}

func (u *unit) group(names []string) engine.Group {
	g := engine.Group{ID: u.name, MaxUnavailable: u.most, Canary: u.canary, Soak: u.soak, MaxFailures: u.failures}
	for _, h := range u.hosts {
		g.Hosts = append(g.Hosts, names[h])
	}
	return g
}

func (u *unit) node(st step, host int, names []string) engine.Node {
	n := engine.Node{Step: u.name + "/" + st.name, Kind: st.kind.String(), Target: engine.Target{Name: names[host]}, Timeout: st.timeout, OnTimeout: st.late,
		Retry: engine.Retry{Attempts: st.attempts, Backoff: st.backoff, Max: 4 * st.backoff}, Gate: st.kind == gate, Finally: u.finally}
	n.Title, n.ID = n.Step, n.Step
	if host > 0 {
		n.ID += "@" + names[host]
	}
	if u.rollout {
		n.Group = u.name
	}
	if st.again {
		n.Retry.On = "true"
	}
	n.Digest = n.Kind + " " + names[host] + " " + strconv.Itoa(st.key) + "." + strconv.Itoa(st.text)
	return n
}
