package sim

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
)

// A stay is a host in a rollout, from the first effect on it until all its steps are done and it has been watched.
type stay struct {
	touched bool  // an effect has happened on it
	flying  int   // effects that may happen
	was     bool  // it was touched before it was through
	end     int   // the number of records when it was through
	lost    bool  // that was not durable
	half    bool  // an effect has happened on it since it was through
	ever    bool  // one has happened on it: after an edit it counts as in the middle, if its steps are to be done again
	process int64 // epoch of the latest that has begun an effect on it
	fallen  bool  // a step failed, in this process
	left    int64 // epoch of the process in which a step ran out of time, and the host was left out
	before  bool  // one failed in an earlier process, and nothing has been begun since
	soaked  time.Duration
}

type stayKey struct {
	unit string
	host int
}

func (s *stay) open() bool { return s.touched || s.flying > 0 }

func (j *judge) stay(t *toy) *stay { return j.stayIn(j.p.script.units[t.unit].name, t.host) }

func (j *judge) stayIn(unit string, host int) *stay {
	key := stayKey{unit, host}
	s := j.stays[key]
	if s == nil {
		s = &stay{}
		j.stays[key] = s
	}
	return s
}

// recallStays brings the stays where a new process finds them: an end that was lost has not been.
func (j *judge) recallStays() {
	for u := range j.p.script.units {
		un := &j.p.script.units[u]
		for pos, h := range un.hosts {
			if !un.rollout {
				break
			}
			s := j.stayIn(un.name, h)
			if un.finally || s.fallen && !j.hosts[h].outByUs() {
				s.touched, s.was = false, false // it begins again: failed, and in service
			}
			s.before, s.fallen = s.before || s.fallen, false
			switch through := j.through(u, pos); {
			case through && s.open():
				s.touched, s.was = false, true
			case !through && s.was && s.lost:
				s.touched, s.was, s.soaked = true, false, 0
			case !through: // an edit has given it something more to do
				s.soaked = 0
			}
		}
	}
}

// begunAgain closes the stays of a host in rollouts in which a step failed on it, or in all that the run has stopped.
func (j *judge) begunAgain(host int, all bool) {
	for u := range j.p.script.units {
		if s := j.stays[stayKey{j.p.script.units[u].name, host}]; s != nil && (s.fallen || all) {
			s.touched, s.was = false, false
			if all {
				s.soaked = 0
			}
		}
	}
}

// takenOver closes the stays of a host in rollouts that an edit has taken it out of: it is another's now.
func (j *judge) takenOver(host int) {
	for key, s := range j.stays {
		if key.host == host && !j.has(key) {
			s.touched, s.was = false, false
		}
	}
}

// hostThrough says whether every step of a toy's host is done, in its unit.
func (j *judge) hostThrough(t *toy) bool {
	return j.through(t.unit, slices.Index(j.p.script.units[t.unit].hosts, t.host))
}

// through says whether every step of a host of a unit is done.
func (j *judge) through(u, pos int) bool {
	steps := len(j.p.script.units[u].steps)
	for _, i := range j.p.script.stops[u][pos*steps : (pos+1)*steps] {
		if !j.done(i) {
			return false
		}
	}
	return true
}

// leaves is the end of a node: the host may be through, or fallen.
func (j *judge) leaves(i int, state string) {
	t := &j.p.script.toys[i]
	if t.group < 0 {
		return
	}
	un := &j.p.script.units[t.unit]
	s := j.stay(t)
	switch state {
	case engine.Failed, engine.Refused:
		s.fallen = true
	case engine.Done, engine.Skipped:
		if s.open() && j.through(t.unit, slices.Index(un.hosts, t.host)) {
			s.touched, s.was, s.half, s.lost, s.soaked = false, true, false, false, j.elapsed+un.soak
			s.end, s.process = len(j.entries)+len(j.loose), 0
		}
		if un.finally && !j.hosts[t.host].outByUs() && j.through(t.unit, slices.Index(un.hosts, t.host)) {
			j.begunAgain(t.host, true) // and what is done finally has brought it back
		}
	}
}

// tolerated says whether a failed node does not stop the run.
func (j *judge) tolerated(i int, state string) bool {
	t := &j.p.script.toys[i]
	if t.group < 0 || state != engine.Failed {
		return false
	}
	un := &j.p.script.units[t.unit]
	fallen := 1
	for _, h := range un.hosts {
		if h != t.host && j.stayIn(un.name, h).fallen {
			fallen++
		}
	}
	return fallen <= un.failures
}

// endured says whether a rollout that lacks node n is over, and tolerates that.
func (j *judge) endured(n int) bool {
	t := &j.p.script.toys[n]
	un := &j.p.script.units[t.unit]
	if t.group < 0 || un.failures == 0 {
		return false
	}
	fallen := 0
	for pos, h := range un.hosts {
		s := j.stayIn(un.name, h)
		switch {
		case s.fallen:
			fallen++
		case !j.through(t.unit, pos):
			return false
		}
	}
	return fallen <= un.failures && j.stay(t).fallen
}
