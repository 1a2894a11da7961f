package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
)

// Some pods come back to a cordoned node: those that tolerate the cordon, and those whose owner names the node itself
// (spec.nodeName), or has them bound by a scheduler of its own. Evicting them for ever would be a restart every few seconds.

// mostRounds is how often pods of one owner are evicted from a node: once more than kubectl drain does, which never looks again, for
// one that was on its way when the node was cordoned.
const mostRounds = 2

// A comeback is how a pod that is to go stands to evictions before.
type comeback int

const (
	fresh    comeback = iota // it goes
	stubborn                 // evictions do not keep pods of its owner away
	settled                  // it stays, without a word
)

// A guest is a pod as it was first seen on the cordoned node.
type guest struct {
	round    int  // of evictions of its owner's pods here, this one's included
	newcomer bool // it was not there when the node was first looked at
}

// welcome takes in the pods that were not seen before.
func (d *drain) welcome(s engine.Scene, pods []kube.Pod) {
	first := d.guests == nil
	if first {
		d.guests = map[string]guest{}
	}
	for _, p := range pods {
		if _, known := d.guests[p.UID]; !known {
			before := d.recall(s, p)
			g := guest{round: before.round, newcomer: !first}
			if before.round == 0 || g.newcomer || p.Created.After(before.latest) {
				g.round++
			}
			d.guests[p.UID] = g
		}
	}
}

func (d *drain) comeback(s engine.Scene, p kube.Pod) comeback {
	g := d.guests[p.UID]
	switch {
	case p.Tolerates && (g.newcomer || g.round > 1): // as kubectl drain, which does not look again
		return settled
	case g.round <= mostRounds: // also where others of its owner were left
		return fresh
	case fact(s, facts.Left(s.Target.Name, owner(p))) == stamp(s):
		return settled
	}
	return stubborn
}

// A stay is what a run keeps in mind of the evictions of one owner's pods from one node. It is recorded before they are asked for: a process
// that is killed meanwhile must not have its successors evict them again for ever.
type stay struct {
	round  int       // the highest
	latest time.Time // when the last of the pods so far was made: one made later is of the next
	stamp  string    // of the cordon
}

// String is how it is recorded.
func (s stay) String() string {
	return fmt.Sprintf("%d %s %s", s.round, s.latest.UTC().Format(time.RFC3339), s.stamp)
}

// recall is what was recorded since the node was cordoned, or has been asked for since the step was begun; zero: nothing.
func (d *drain) recall(s engine.Scene, p kube.Pod) (known stay) {
	if sent, ok := d.sent[owner(p)]; ok {
		return sent
	}
	var latest string
	if n, _ := fmt.Sscan(fact(s, facts.Evicted(s.Target.Name, owner(p))), &known.round, &latest, &known.stamp); n < 2 || known.stamp != stamp(s) {
		return stay{}
	}
	known.latest, _ = time.Parse(time.RFC3339, latest)
	return known
}

// send is what is to be recorded when a pod is asked for. One that is kept here may be of an earlier round than others of its owner.
func (d *drain) send(s engine.Scene, newest time.Time, p kube.Pod) stay {
	before := d.recall(s, p)
	now := stay{round: max(before.round, d.guests[p.UID].round), latest: before.latest, stamp: stamp(s)}
	if newest.After(now.latest) {
		now.latest = newest
	}
	if d.sent == nil {
		d.sent = map[string]stay{}
	}
	d.sent[owner(p)] = now
	return now
}

// newest is when the last of the pods that are to go was made, for each owner; and has those that the load lists no more.
func (l *load) newest(and ...kube.Pod) map[string]time.Time {
	newest := map[string]time.Time{}
	for _, p := range slices.Concat(l.evict, l.blocked, and) {
		if by := owner(p); p.Created.After(newest[by]) {
			newest[by] = p.Created
		}
	}
	return newest
}

// stamp tells one cordon of a host from the next. One that this run did not make is the same all the time.
func stamp(s engine.Scene) string { return cmp.Or(fact(s, facts.CordonedAt(s.Target.Name)), "before") }

// fact is what the run knows under a name, or "".
func fact(s engine.Scene, name string) string {
	known, _ := s.Fact(name)
	return known
}

// owner is whose pod it is: its controller's, or nobody's but its own.
func owner(p kube.Pod) string {
	if p.OwnerKind == "" {
		return p.String()
	}
	return p.Namespace + "/" + p.OwnerKind + "/" + p.Owner
}

// leavings record the pods that are left where they are, so that people read why the node is not empty.
func (d *drain) leavings(s engine.Scene, l *load) (changes []engine.Change) {
	for _, p := range l.returned {
		by := p.OwnerKind + " " + p.Owner
		if p.OwnerKind == "" {
			by = "somebody"
		}
		changes = append(changes, engine.Change{
			Say: fmt.Sprintf("leave pods that came back after %d evictions in spite of the cordon", mostRounds),
			Of:  fmt.Sprintf("%s, which %s places here by its nodeName or by a scheduler of its own", p, by), Repeat: engine.Convergent,
			Then: engine.Facts{facts.Drained(s.Target.Name): "true", facts.Left(s.Target.Name, owner(p)): stamp(s)},
			Do:   func(context.Context, engine.Ticket) error { return nil },
		})
	}
	return changes
}
