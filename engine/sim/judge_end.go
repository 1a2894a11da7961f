package sim

import (
	"slices"

	"upgrader.dev/upgrader/engine"
)

// finished judges the end of a process.
func (j *judge) finished(state, why string) {
	if j.fenced {
		return
	}
	if j.flying > 0 {
		j.fail("I12", "the process finishes, and %d answers are still to come", j.flying)
	}
	left := j.left()
	switch {
	case state == engine.Done && left != "":
		j.fail("I12", "the run is done, and %s is not", left)
	case state == engine.Done && (j.failed || j.paused):
		j.fail("I12", "the run is done although it failed or waits for a person")
	case state != engine.Done && why == "" && !j.failed && !j.paused && !j.stopped:
		j.fail("I14", "the run ends %s and nothing says why", state)
	}
	if !j.stopped && !j.paused {
		j.finals()
	}
}

// left is a node of the run proper that is not done.
func (j *judge) left() string {
	for i := range j.cur {
		if !j.p.script.units[j.p.script.toys[i].unit].finally && !j.done(i) {
			return j.cur[i].id
		}
	}
	return ""
}

// finals: what is done finally is done whatever has failed.
func (j *judge) finals() {
	for i := range j.cur {
		t := &j.p.script.toys[i]
		if j.p.script.units[t.unit].finally && !j.cur[i].settled {
			j.fail("finally", "%s was never done", j.cur[i].id)
			return
		}
	}
}

// close judges the end of a run that is done: the report is what the world is (I12).
func (j *judge) close() {
	for i := range j.cur {
		t, b := &j.p.script.toys[i], j.cur[i]
		if j.done(i) && !b.person && b.state == engine.Done && t.kind.job() && !j.holds(t) && !j.byWord(t) && !j.undoneByWord(t) {
			j.fail("I12", "%s is said to be done, and its goal does not hold", b.id)
		}
	}
	for h := range j.hosts {
		if j.hosts[h].cordoned && j.mayUncordon(h) {
			j.fail("I7", "the run is done, and %s is still cordoned", j.names[h])
		}
	}
}

// inMiddle says whether a rollout of the plan has begun to change a host and is not through with it.
func (j *judge) inMiddle(h int) bool {
	return slices.ContainsFunc(j.script.units, func(u unit) bool {
		s := j.stays[stayKey{u.name, h}]
		return s != nil && s.open() && slices.Contains(u.hosts, h)
	})
}

// mayUncordon says whether the plan still has a step for a host that takes the run's cordon back.
func (j *judge) mayUncordon(h int) bool {
	for i := range j.script.toys {
		t := &j.script.toys[i]
		id := j.script.graph.Nodes[i].ID
		if t.host == h && t.kind == uncordon && !t.skip && (j.nodes[id] == nil || j.nodes[id].done != j.script.graph.Nodes[i].Digest) {
			return true
		}
	}
	return false
}

// keysAfter are those of all units that need a node, directly or not.
func (s *script) keysAfter(node int) (keys [mostKeys]bool) {
	after := map[int]bool{s.toys[node].unit: true}
	for u := range s.units {
		if slices.ContainsFunc(s.units[u].needs, func(v int) bool { return after[v] }) {
			after[u] = true
			for _, st := range s.units[u].steps {
				keys[st.key] = true
			}
		}
	}
	return keys
}
