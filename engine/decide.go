package engine

import (
	"upgrader.dev/upgrader/engine/journal"
)

// takeDecision is what a person's word means: about a node as it was when they gave it, or about a host.
func (r *Reducer) takeDecision(ev *journal.Record) {
	if ev.Node == "" {
		r.writeOff(ev)
		return
	}
	i := r.find(ev.Node)
	if i == nobody {
		r.decideStrays(ev)
		return
	}
	st, same := &r.nodes[i], ev.Digest == "" || ev.Digest == r.graph.Nodes[i].Digest
	switch {
	case ev.State == Done, ev.State == "retry": // what became of the effects is true whatever the plan says now
		r.decide(i)
		st.said = Decision{}
		if st.made = false; same && ev.State == Done {
			r.settle(i, isDone)
		}
	case same || r.planted(29):
		st.said = Decision{Verdict: ev.State, Who: ev.Who, At: ev.Time, Digest: ev.Digest}
	}
}

// writeOff frees a host of which a person says that what became of it does not matter any more.
func (r *Reducer) writeOff(ev *journal.Record) {
	i, ok := r.hosts.index[ev.Host]
	if !ok || ev.State != Done {
		return
	}
	for _, e := range append([]*effect(nil), r.effects.byHost[ev.Host]...) {
		r.effects.close(e)
	}
	for _, m := range r.hosts.hosts[i].members {
		r.members[m].touched = 0
	}
	r.setDown(i, "")
	r.forget(i)
}
