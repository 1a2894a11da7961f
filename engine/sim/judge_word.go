package sim

import (
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A person's word: what it settles, and what only the person could have known better.

// decided takes a person's word, given between processes.
func (j *judge) decided(node int, rec journal.Record) {
	t := &j.script.toys[node]
	if j.spoken[effectKey{t.host, t.key}] = 0; rec.State == engine.Done {
		j.spoken[effectKey{t.host, t.key}] = t.goal()
	}
	for _, job := range j.made[effectKey{t.host, t.key}] {
		job.spokenOf()
		job.again = job.again || rec.State == engine.TryAgain
	}
	for key, s := range j.stays {
		if key.host == t.host && rec.State == engine.Done {
			s.touched = s.touched && j.has(key) // one that the plan has lost is the person's
		}
	}
	e := entry{kind: rec.Kind, node: rec.Node, state: rec.State, digest: rec.Digest, elapsed: rec.Elapsed}
	j.entries = append(j.entries, e)
	j.enter(&e)
}

// writtenOff takes a person's word that a host is in order that the plan lost in the middle.
func (j *judge) writtenOff(host int) {
	j.entries = append(j.entries, entry{kind: journal.Decision, elapsed: j.elapsed})
	j.takenOver(host)
	for key, list := range j.made {
		if key.host == host && !j.wanted(key) {
			for _, job := range list {
				job.spokenOf()
			}
		}
	}
}

// wanted says whether the plan still has a step that brings something about on a host, whatever it is called.
func (j *judge) wanted(key effectKey) bool {
	return slices.ContainsFunc(j.script.toys, func(t toy) bool { return t.host == key.host && t.key == key.key })
}

// undecided says whether an effect of a step was cut off and waits for a person.
func (j *judge) undecided(t *toy) bool {
	if !t.kind.once() {
		return false
	}
	for _, job := range j.made[effectKey{t.host, t.key}] {
		if job.is == cut && !job.decided {
			return true
		}
	}
	return false
}

// byWord says whether a person has said that a command was done, with the text that it has now, whatever it was called then: nothing
// else could tell.
func (j *judge) byWord(t *toy) bool {
	return (t.kind == command || t.kind == tell) && j.spoken[effectKey{t.host, t.key}] == t.goal()
}

// undoneByWord says whether what stands in the place of a step's goal is the work of an effect of which a person had said that it
// was over while it still went on: it ended after the step was done once more, and only the person could have known.
func (j *judge) undoneByWord(t *toy) bool {
	return slices.ContainsFunc(j.made[effectKey{t.host, t.key}], func(old *job) bool {
		return old.hasty && old.is == ended && !old.failed && j.hosts[t.host].text[t.key] == old.toy.goal()
	})
}
