package engine

import (
	"upgrader.dev/upgrader/engine/journal"
)

// rehearsed announces what would be made until there is nothing new to say. Time does not pass in a rehearsal, and nobody
// is asked.
func (r *Reducer) rehearsed(i int32, w *work, ev Event) {
	n := &r.graph.Nodes[i]
	switch {
	case ev.Err == nil:
		if fresh := r.announce(i, w, ev.Changes); fresh && !r.planted(43) {
			r.observe(i, w)
			return
		}
		r.settled(i, Done, "")
	case ev.Err.Class == Waits, ev.Err.Class == Asks:
		words := map[Class]string{Waits: "waits until this holds: ", Asks: "asks a person: "}[ev.Err.Class]
		r.record(journal.Record{Kind: journal.Wait, Node: n.ID, Why: words + ev.Err.Why})
		r.settled(i, Done, "")
	default:
		r.fail(i, w, ev.Err)
	}
}

// announce says what changes would be made, and tells whether any was new; a change asked for again is one that no promise makes
// go away.
func (r *Reducer) announce(i int32, w *work, changes []Proposal) bool {
	var fresh []int
	for c := range changes {
		p := &changes[c]
		if w.count(p) > 1 {
			continue
		}
		fresh = append(fresh, c)
		r.record(journal.Record{Kind: journal.Intent, Node: r.graph.Nodes[i].ID, State: outcomeWould, Say: p.Say, Of: p.Of, Repeat: string(p.Repeat), Why: p.If})
	}
	if len(fresh) > 0 {
		r.want(Command{Do: Announce, Node: int(i), Changes: fresh})
	}
	return len(fresh) > 0
}
