package engine

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// A Graph is a plan expanded over its hosts: ordered, serialisable, digested, and all the scheduler knows. Expanding
// the same plan and inventory gives the same bytes. The tags are those of its first written form; see GraphFormat.
type Graph struct {
	Format   int               `json:"-"`              // of the file that it was read from; GraphFormat when it was expanded by this program
	Plan     string            `json:"plan"`           // the plan's name
	From     string            `json:"from,omitempty"` // versions.from, a constraint
	To       string            `json:"to,omitempty"`   // versions.to
	Vars     map[string]string `json:"vars,omitempty"` // the values used, secrets as references
	Targets  []Target          `json:"targets"`        // every host of the inventory, in its order
	Nodes    []Node            `json:"nodes"`          // in the order written, hosts in the order of their rollout
	Barriers []Barrier         `json:"barriers,omitempty"`
	Groups   []Group           `json:"groups,omitempty"` // rollouts
	Waivers  []Waiver          `json:"waivers,omitempty"`
	Digest   string            `json:"digest"` // over everything above
}

// A Barrier is a place where many wait for many: it is met when all that it needs is. With one, a unit that comes after
// 5,000 hosts costs one need a node, and not 5,000.
type Barrier struct {
	ID    string   `json:"id"`    // unit/* where a unit of the plan ends, */unit where one begins; no node is called so
	Needs []string `json:"needs"` // IDs of nodes and of barriers, which stand before this one
}

// A Node is one step on one target. The nodes of a step share what is the same for all of them, so nothing in a node is
// ever changed in place: neither With, nor Needs, nor the labels of the target.
type Node struct {
	ID        string         `json:"id"`                  // step@host, or step for the cluster; unique
	Step      string         `json:"step"`                // path of the step in the plan, such as workers/drain; unique in it
	Title     string         `json:"title"`               // the step's name for people
	Kind      string         `json:"kind"`                // a verb of the catalog
	Target    Target         `json:"target"`              // Name is Cluster for the steps that concern no host
	With      map[string]any `json:"with,omitempty"`      // what the plan gives, evaluated but for what only a run can know
	When      string         `json:"when,omitempty"`      // CEL over run-time facts; what was decidable is decided already
	Needs     []string       `json:"needs,omitempty"`     // IDs of nodes and barriers that must be settled well before this one starts
	Group     string         `json:"group,omitempty"`     // the rollout it belongs to, if any
	Timeout   time.Duration  `json:"timeout"`             // from its first start; waiting counts, across resumes
	OnTimeout string         `json:"onTimeout,omitempty"` // what it means for the others that its time is over: StopRun, AskPerson; empty: SkipHost
	Retry     Retry          `json:"retry"`
	Gate      bool           `json:"gate,omitempty"`    // its kind is a Gate: it never changes anything and is observed again by every resume
	Finally   bool           `json:"finally,omitempty"` // runs at the end of every run, also a failed one
	Digest    string         `json:"digest"`            // over kind, target name, with, when
	At        string         `json:"at,omitempty"`      // file:line:col in the plan; not part of the digest
}

// What it may mean that the time of a step on one host is over: the plan's words, but WaitOn, and a person's answers, but AskPerson.
const (
	SkipHost  = "skip" // the host has failed and is left out: the others go on as far as their rollout's maxFailures says
	StopRun   = "stop" // the host has failed, and nothing new begins anywhere, whatever maxFailures says
	AskPerson = "ask"  // a person says which of the others it is; until then nothing is given up or taken back
	WaitOn    = "wait" // the step has as much time again
)

// Never is the When of a node that never runs: its plan tells beforehand that its condition does not hold.
const Never = "false"

// Retry says how often an attempt that failed is made again. Only transient failures are, unless On says otherwise.
type Retry struct {
	Attempts int           `json:"attempts"` // at least 1
	Backoff  time.Duration `json:"backoff"`  // before the second attempt; doubles up to Max
	Max      time.Duration `json:"max"`
	On       string        `json:"on,omitempty"` // CEL over error {message, exitCode, transient}
}

// A Group is a set of hosts that a sequence of steps rolls over.
type Group struct {
	ID             string        `json:"id"`             // the step's path
	Hosts          []string      `json:"hosts"`          // in the order of the roll; spreadBy is in this order already
	MaxUnavailable int           `json:"maxUnavailable"` // at least 1: hosts in work or out of service, by whomever; a failed one counts until it is back
	Canary         int           `json:"canary"`         // so many of the first hosts must be done before the others start
	Soak           time.Duration `json:"soak"`           // a host done keeps its slot this long
	MaxFailures    int           `json:"maxFailures"`    // failed hosts that do not stop the run, as long as there is room beside them
}

// Lookup returns the node of this ID, or nil.
func (g *Graph) Lookup(id string) *Node {
	for i := range g.Nodes {
		if g.Nodes[i].ID == id {
			return &g.Nodes[i]
		}
	}
	return nil
}

// Same says whether two graphs ask for the same. Those of one format are told apart by their digests. An older program
// gave another digest to the same work, so graphs of two formats are compared in what matters: a run that it began was
// not edited because it is taken up by a newer one.
func (g *Graph) Same(other *Graph) bool {
	if g.Format == other.Format {
		return g.Digest == other.Digest
	}
	if g.From != other.From || g.To != other.To || !maps.Equal(g.Vars, other.Vars) || len(g.Nodes) != len(other.Nodes) {
		return false
	}
	if !slices.EqualFunc(g.Targets, other.Targets, equalTargets) || !slices.EqualFunc(g.Groups, other.Groups, equalGroups) ||
		!slices.EqualFunc(g.Waivers, other.Waivers, equalWaivers) {
		return false
	}
	mine, others := g.Index(), other.Index()
	for i := range g.Nodes {
		n, o := &g.Nodes[i], &other.Nodes[i]
		if !n.Same(o) || !slices.Equal(mine.Behind(n.Needs), others.Behind(o.Needs)) {
			return false
		}
	}
	return true
}

// Same says whether two nodes do the same on the same target, wherever they are written and whatever they need.
func (n *Node) Same(other *Node) bool {
	a, b := n.words(), other.words()
	a.At, b.At = "", ""
	return n.ID == other.ID && n.Digest == other.Digest && a == b
}

func (n *Node) words() stepWords {
	return stepWords{n.Step, n.Title, n.Kind, n.When, n.Group, n.Timeout, n.OnTimeout, n.Retry, n.Gate, n.Finally, n.At}
}

func equalTargets(a, b Target) bool {
	return a.Name == b.Name && maps.Equal(a.Labels, b.Labels) && slices.Equal(a.Groups, b.Groups)
}

func equalGroups(a, b Group) bool {
	same := slices.Equal(a.Hosts, b.Hosts)
	a.Hosts, b.Hosts = nil, nil
	return same && reflect.DeepEqual(a, b)
}

func equalWaivers(a, b Waiver) bool {
	same := a.Until.Equal(b.Until)
	a.Until, b.Until = time.Time{}, time.Time{}
	return same && a == b
}
