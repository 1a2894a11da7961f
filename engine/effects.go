package engine

import (
	"fmt"
	"slices"

	"upgrader.dev/upgrader/engine/journal"
)

// The effect table is the one place that knows which effects may be going on or want a person's word. An entry begins
// with its intent and leaves the table when its outcome is known, or when a person has decided.

// rounds is how often a change may succeed and still be asked for before the step is said not to converge. Evictions
// are asked for again by name only after the pod came back under the same one, which a StatefulSet's may.
const rounds = 5

// States of an Outcome record.
const (
	OutcomeOK      = "ok" // it was made
	outcomeFailed  = "failed"
	outcomeRefused = "refused"       // for now; nothing changed
	outcomeCut     = "cut"           // interrupted by a reboot or a kill: observe
	outcomeNever   = "never-started" // and never will under that ticket
	outcomeDoubt   = "in-doubt"      // convergent: the next observation tells
	outcomeWould   = "would"         // a rehearsal's
)

// nobody is the node of an effect whose step the graph lacks, and the owner of a host that no rollout has.
const nobody int32 = -1

// An effect is an entry of the table: begun, and either open (nobody knows its end) or cut off half-way.
type effect struct {
	Ticket string `json:"ticket"`
	Node   int32  `json:"node"` // nobody: the graph lacks it
	ID     string `json:"id"`   // of the node when it was begun
	Host   string `json:"host"`
	Uses   string `json:"uses,omitempty"` // the kind; unknown in journals of format 1 where the node is gone
	Digest string `json:"digest,omitempty"`
	Say    string `json:"say"`
	Repeat Repeat `json:"repeat"`
	Outage bool   `json:"outage,omitempty"` // the API may be away because of it
	Cut    bool   `json:"cut,omitempty"`    // it ended in the middle: a person has to say what is true

	Order  int `json:"order"`            // among all of the run
	Change int `json:"change,omitempty"` // index in the proposals of this process
}

// An effectTable holds effects by ticket and, within nodes and hosts, in the order in which they were begun.
type effectTable struct {
	byTicket map[string]*effect
	byNode   map[int32][]*effect
	byHost   map[string][]*effect
	ever     int             // effects, so far
	underway int             // open, and not convergent: they may outlive every process
	made     map[string]bool // digests of steps that the graph lacks, and whose once-effect was made, or is by a person's word
	passed   map[string]int  // digests of steps that the graph lacks, and when they were first done, counted in records
}

func newEffectTable() effectTable {
	return effectTable{byTicket: map[string]*effect{}, byNode: map[int32][]*effect{}, byHost: map[string][]*effect{}, made: map[string]bool{}, passed: map[string]int{}}
}

func (t *effectTable) add(e *effect) {
	if e.Order == 0 {
		t.ever++
		e.Order = t.ever
	}
	t.ever = max(t.ever, e.Order)
	t.byTicket[e.Ticket] = e
	t.byNode[e.Node] = append(t.byNode[e.Node], e)
	t.byHost[e.Host] = append(t.byHost[e.Host], e)
	if !e.Cut && e.Repeat != Convergent {
		t.underway++
	}
}

// close takes an effect out: its end is known, or decided.
func (t *effectTable) close(e *effect) {
	if !e.Cut && e.Repeat != Convergent {
		t.underway--
	}
	delete(t.byTicket, e.Ticket)
	drop(t.byNode, e.Node, e)
	drop(t.byHost, e.Host, e)
}

func drop[K comparable](index map[K][]*effect, key K, e *effect) {
	list := index[key]
	if i := slices.Index(list, e); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(index, key)
		return
	}
	index[key] = list
}

// cut notes that an effect was ended in the middle.
func (t *effectTable) cut(e *effect) {
	if e.Repeat != Convergent {
		t.underway--
	}
	e.Cut = true
}

// give makes an effect a node's own.
func (t *effectTable) give(e *effect, node int32) {
	drop(t.byNode, e.Node, e)
	e.Node = node
	t.byNode[node] = append(t.byNode[node], e)
}

// open returns the first effect of a node whose end nobody has seen; nil if there is none.
func (t *effectTable) open(node int32) *effect {
	return first(t.byNode[node], func(e *effect) bool { return !e.Cut })
}

// undecided returns the first effect of a node that was cut off and may not be repeated without a person.
func (t *effectTable) undecided(node int32) *effect {
	return first(t.byNode[node], func(e *effect) bool { return e.Cut })
}

// mayRun returns the first open effect of a node that outlives its process.
func (t *effectTable) mayRun(node int32) *effect {
	return first(t.byNode[node], func(e *effect) bool { return !e.Cut && e.Repeat != Convergent })
}

// quiet says that nothing may be going on on a host. A convergent effect ended with its process: where the plan has its step no
// more, nobody looks what became of it, and a look at the host settles it.
func (t *effectTable) quiet(host string) bool {
	return first(t.byHost[host], func(e *effect) bool { return !e.Cut && (e.Node != nobody || e.Repeat != Convergent) }) == nil
}

func first(list []*effect, is func(*effect) bool) *effect {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

// takeIntent enters an effect.
func (r *Reducer) takeIntent(i int32, ev *journal.Record) {
	e := &effect{Ticket: ev.Ticket, Node: i, ID: ev.Node, Host: ev.Host, Uses: ev.Uses, Digest: ev.Digest, Say: ev.Say,
		Repeat: Repeat(ev.Repeat), Outage: ev.Outage > 0 || !ev.Until.IsZero()}
	if i != nobody {
		n, st := &r.graph.Nodes[i], &r.nodes[i]
		if e.Host == "" {
			e.Host, e.Uses = n.Target.Name, n.Kind
		}
		st.effects = max(st.effects+1, ordinalOf(ev.Ticket))
		if st.changed == 0 {
			st.changed = r.taken
		}
	} else if e.Host == "" {
		e.Host = hostOf(ev.Node)
	}
	r.effects.add(e)
	r.disrupt(i, e.Host, ev.Group)
}

// takeOutcome closes an effect, or notes that it was cut off. One that may be repeated by observation needs no person.
func (r *Reducer) takeOutcome(ev *journal.Record) {
	e := r.effects.byTicket[ev.Ticket]
	if e == nil {
		return
	}
	if e.Node != nobody {
		st := &r.nodes[e.Node]
		st.made = ev.State == OutcomeOK && (e.Digest == "" || e.Digest == r.graph.Nodes[e.Node].Digest)
	} else if e.Repeat == Once && ev.State == OutcomeOK && e.Digest != "" {
		r.effects.made[e.Digest] = true
	}
	if ev.State == outcomeCut && e.Repeat == Once {
		r.effects.cut(e)
		return
	}
	r.effects.close(e)
}

// decide closes every effect of a node by a person's word.
func (r *Reducer) decide(i int32) {
	if r.planted(32) {
		return
	}
	for _, e := range slices.Clone(r.effects.byNode[i]) {
		r.effects.close(e)
	}
}

// decideStrays closes the effects of a step that the plan has no more, which a person decided about when it had. What was
// said to be done is so for a step that was only renamed.
func (r *Reducer) decideStrays(ev *journal.Record) {
	if ev.State != Done && ev.State != TryAgain {
		return
	}
	for _, e := range slices.Clone(r.effects.byHost[hostOf(ev.Node)]) {
		if e.ID == ev.Node {
			r.effects.close(e)
		}
	}
	r.disinherit(ev.Digest)
	if ev.State == Done && ev.Digest != "" {
		r.effects.made[ev.Digest] = true
	}
}

// disinherit forgets that a once-effect of a step that the plan lacks was made, also where a step has heard of it already.
func (r *Reducer) disinherit(digest string) {
	delete(r.effects.made, digest)
	for i := range r.nodes {
		if st := &r.nodes[i]; st.attempt == 0 && r.graph.Nodes[i].Digest == digest {
			st.made = false
		}
	}
}

// adopt gives effects whose step is called otherwise in an edited plan to the step that stands for it now: of the same
// kind on the same host; the very same one if there is one.
func (r *Reducer) adopt() {
	if r.planted(10) {
		return
	}
	strays := slices.Clone(r.effects.byNode[nobody])
	for i := range r.nodes {
		for _, e := range r.effects.byNode[int32(i)] {
			if e.Uses != "" && e.Uses != r.graph.Nodes[i].Kind {
				strays = append(strays, e)
			}
		}
	}
	for _, e := range strays {
		if i := r.heir(e); i != nobody {
			r.effects.give(e, i)
		}
	}
	r.inherit()
}

// inherit lets a step that was only renamed know that its once-effect was made, and a gate that it was open once.
func (r *Reducer) inherit() {
	if len(r.effects.made)+len(r.effects.passed) == 0 {
		return
	}
	for i := range r.nodes {
		n, st := &r.graph.Nodes[i], &r.nodes[i]
		if st.attempt > 0 || n.Finally || st.state != isPending {
			continue
		}
		if r.effects.made[n.Digest] {
			st.made = true
			delete(r.effects.made, n.Digest)
		}
		if n.Gate && st.done == 0 {
			st.done = r.effects.passed[n.Digest]
		}
	}
}

// takeStray notes the end of a step that the graph lacks. Where that brought a host through its rollout, it is watched from then on.
func (r *Reducer) takeStray(ev *journal.Record) {
	if ev.Kind == journal.Settled {
		r.passStray(hostOf(ev.Node), ev.Group)
	}
	if _, known := r.effects.passed[ev.Digest]; !known && ev.Kind == journal.Settled && ev.State == Done && ev.Digest != "" {
		r.effects.passed[ev.Digest] = r.taken
	}
}

// passStray notes that a step which the graph lacks brought a host through its rollout, if it did.
func (r *Reducer) passStray(host, group string) {
	if g, ok := r.byGroup[group]; ok {
		if m := r.memberIn(r.hosts.enter(host), g); m != nobody {
			r.throughAgain(m)
			return
		}
	}
	r.found(host, group)
}

// heir finds the step that answers for a stray effect.
func (r *Reducer) heir(e *effect) int32 {
	best := nobody
	for i := range r.graph.Nodes {
		n := &r.graph.Nodes[i]
		if n.Target.Name != e.Host || e.Uses != "" && n.Kind != e.Uses {
			continue
		}
		if n.Digest == e.Digest {
			return int32(i)
		}
		if best == nobody && e.Uses != "" && !isWell(r.nodes[i].state) {
			best = int32(i)
		}
	}
	return best
}

// Underway says whether an effect was begun that may still be going on: one that outlives its process, whose end nobody
// has seen. As long as there is one, nobody else may work on the cluster.
func (r *Reducer) Underway() bool { return r.effects.underway > 0 }

// Keeps refuses a graph that lacks the step of an effect which may be going on, according to the records replayed: nobody
// would wait for the end of it.
func (r *Reducer) Keeps() error {
	for _, e := range r.effects.byNode[nobody] {
		if !e.Cut && e.Repeat != Convergent && r.heir(e) == nobody {
			return fmt.Errorf("%q of step %s may still be going on, and the plan no longer has that step: put the plan back as it was until a resume has seen the end of it", e.Say, e.ID)
		}
	}
	return nil
}

// question is what a person has to decide about an effect that was cut off.
func (r *Reducer) question(e *effect) string {
	id := e.ID
	if e.Node != nobody {
		id = r.graph.Nodes[e.Node].ID
	}
	return fmt.Sprintf("%s was cut off on %s and must not be repeated blindly: look at the host, then say what is true: upgrader resume %s --settle %s=done, or =retry",
		e.Say, e.Host, r.opt.Run, id)
}
