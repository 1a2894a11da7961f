package engine

import (
	"slices"

	"upgrader.dev/upgrader/engine/journal"
)

// Record is what the journal keeps of the decision about a node.
func (d Decision) Record(node string) journal.Record {
	return journal.Record{Kind: journal.Decision, Node: node, State: d.Verdict, Who: d.Who, By: d.By, Key: d.Key, Why: d.Why, Time: d.At, Digest: d.Digest}
}

// DecidedBy says who gave a decision: as they named themselves, by which user of the operating system, with which key, and why.
func DecidedBy(rec *journal.Record) string {
	words := rec.Who
	if rec.By != "" && rec.By != rec.Who {
		words += " (user " + rec.By + ")"
	}
	if rec.Key != "" {
		words += ", signed with " + rec.Key
	}
	if rec.Why != "" {
		words += ": " + rec.Why
	}
	return words
}

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
	case ev.State == Done, ev.State == TryAgain: // what became of the effects is true whatever the plan says now
		r.decide(i)
		st.said = Decision{}
		if st.made = false; same && ev.State == Done {
			r.settle(i, isDone)
		}
	case same && IsLateAnswer(ev.State):
		r.takeLateAnswer(i, decisionOf(ev))
	case same || r.planted(29):
		st.said = decisionOf(ev)
	}
}

func decisionOf(ev *journal.Record) Decision {
	return Decision{Verdict: ev.State, Who: ev.Who, By: ev.By, Key: ev.Key, Why: ev.Why, At: ev.Time, Digest: ev.Digest}
}

// writeOff is a person's word that a host which the plan lost in the middle is in order: what steps did there that the plan has no
// more does not matter. What it still has to do there, or is in the middle of, is as it was.
func (r *Reducer) writeOff(ev *journal.Record) {
	i, ok := r.hosts.index[ev.Host]
	if !ok || ev.State != Done {
		return
	}
	for _, e := range slices.Clone(r.effects.byHost[ev.Host]) {
		if e.Node == nobody && r.heir(e) == nobody {
			r.effects.close(e)
		}
	}
	r.setDown(i, "")
	r.unlose(i)
	if r.hosts.hosts[i].owner == nobody {
		r.handBack(i)
	}
}
