package sim

import (
	"fmt"
	"slices"
	"strings"
)

// room judges the first effect of a process on a host of a rollout (I1).
func (j *judge) room(b *book, t *toy) {
	un, s := &j.p.script.units[t.unit], j.stay(t)
	fresh := !s.open() && !s.ever
	went := s.process == j.p.epoch
	s.process, s.before = j.p.epoch, false
	if went {
		return
	}
	busy, out, looked := j.byBestLook(un, t, fresh)
	switch {
	case !looked:
		j.fail("I1", "%s is begun without a fresh look at who is in service", b.id)
	case busy >= un.most:
		j.fail("I1", "%s is begun with %d other hosts of %s at work, and maxUnavailable is %d:%s", b.id, busy, un.name, un.most, j.atWorkWords(un, t.host, fresh))
	case out >= un.most:
		j.fail("I1", "%s is begun with %d other hosts of %s out of service, and maxUnavailable is %d:%s", b.id, out, un.name, un.most, j.atWorkWords(un, t.host, fresh))
	}
	if !s.open() && !s.half {
		j.canary(b, t, un)
	}
	j.others(b, t, fresh)
	j.takenOver(t.host)
	j.begunAgain(t.host, false) // it is this rollout's now
}

// byBestLook counts by the fresh look that speaks most for the host: one was enough to let it in. A host that is down
// itself makes nothing worse.
func (j *judge) byBestLook(un *unit, t *toy, fresh bool) (busy, out int, looked bool) {
	for _, look := range append(j.looks[t.group][:], j.merged[t.group]) {
		if !look.taken || j.ago(look.at) > freshLook {
			continue
		}
		works, away := j.counts(un, t.host, &look, fresh)
		if look.down[j.names[t.host]] != "" {
			away = 0
		}
		if !looked || away < out {
			busy, out = works, away
		}
		looked = true
	}
	return busy, out, looked
}

// counts says how many other hosts of a unit are at work, and how many are that or out of service.
func (j *judge) counts(un *unit, host int, look *glance, fresh bool) (busy, out int) {
	for _, h := range un.hosts {
		if h == host {
			continue
		}
		if j.working(un, h, fresh) {
			busy++
		}
		if j.working(un, h, false) || j.hosts[h].outByUs() || look != nil && look.down[j.names[h]] != "" {
			out++
		}
	}
	return busy, out + j.lost(un)
}

// lost counts the hosts that an edit took out of a unit while the run had them out of service, and that still are.
func (j *judge) lost(un *unit) (n int) {
	for key, s := range j.stays {
		if key.unit == un.name && s.touched && j.hosts[key.host].outByUs() && !slices.Contains(un.hosts, key.host) {
			n++
		}
	}
	return n
}

// working says whether a host counts as out of service because of the run. For a host in the middle that goes on after a
// resume, others in the middle count only once they have gone on too; so do those in the middle of another rollout, which
// ask this one for room when they go on.
func (j *judge) working(of *unit, host int, fresh bool) bool {
	for u := range j.p.script.units {
		un := &j.p.script.units[u]
		if !un.rollout || of.finally && !un.finally || !slices.Contains(un.hosts, host) {
			continue
		}
		s := j.stayIn(un.name, host)
		if s.open() && !s.fallen && !s.before && (fresh && un.name == of.name || s.process == j.p.epoch) || j.elapsed < s.soaked {
			return true
		}
	}
	return false
}

// atWorkWords names the other hosts of a unit that are at work, and for whom.
func (j *judge) atWorkWords(un *unit, host int, fresh bool) string {
	var words strings.Builder
	for _, h := range un.hosts {
		if h == host || !j.working(un, h, fresh) {
			continue
		}
		words.WriteString(" " + j.names[h])
		for u := range j.p.script.units {
			if s := j.stays[stayKey{j.p.script.units[u].name, h}]; s != nil {
				fmt.Fprintf(&words, " (%s: touched %v, under way %d, fallen %v, soaks until %s)", j.p.script.units[u].name, s.touched, s.flying, s.fallen, s.soaked)
			}
		}
	}
	return words.String()
}

// canary: the first hosts of a rollout are through before the others begin.
func (j *judge) canary(b *book, t *toy, un *unit) {
	if slices.Index(un.hosts, t.host) < un.canary {
		return
	}
	for pos := range min(un.canary, len(un.hosts)) {
		if s := j.stayIn(un.name, un.hosts[pos]); !j.through(t.unit, pos) || j.elapsed < s.soaked {
			j.fail("I1", "%s is begun before the canary %s is through", b.id, j.names[un.hosts[pos]])
		}
	}
}

// others: rollouts that share the host do not work on it now, and hold their own limits.
func (j *judge) others(b *book, t *toy, fresh bool) {
	for u := range j.p.script.units {
		un := &j.p.script.units[u]
		if u == t.unit || !un.rollout || !slices.Contains(un.hosts, t.host) {
			continue
		}
		s := j.stayIn(un.name, t.host)
		if s.open() && !s.fallen && !s.before && (fresh || s.process == j.p.epoch) && !j.p.script.units[t.unit].finally && !un.finally && j.mayGoOn(u, t.host) {
			j.fail("I1", "%s is begun while %s is at work on the same host", b.id, un.name)
		}
		if j.p.script.units[t.unit].finally && !un.finally {
			continue // the run proper is over, and holds hosts in the middle of it; what is done finally can only make room there
		}
		if busy, _ := j.counts(un, t.host, nil, fresh); busy >= un.most && j.atWork(un) {
			j.fail("I1", "%s is begun with %d other hosts of %s at work, whose maxUnavailable is %d:%s", b.id, busy, un.name, un.most, j.atWorkWords(un, t.host, fresh))
		}
	}
}

// mayGoOn says whether what comes next for a unit on a host only waits for the host.
func (j *judge) mayGoOn(u, host int) bool {
	toys := j.p.script.toys
	for _, i := range j.p.script.stops[u] {
		if toys[i].host == host && (!j.done(i) || !j.seenOpen(i)) {
			return !slices.ContainsFunc(toys[i].needs, func(n int) bool { return !j.well(i, n) || toys[n].unit != u && j.maybeWatched(n) })
		}
	}
	return false
}

// maybeWatched says whether a host may still be watched after node n, which was its last. It may be where it failed before and
// nothing was changed on it since; the books, which hold it through from then on, do not tell.
func (j *judge) maybeWatched(n int) bool {
	un := &j.p.script.units[j.p.script.toys[n].unit]
	return un.rollout && j.elapsed < j.cur[n].last+un.soak
}

// atWork says whether this process is at work for a rollout.
func (j *judge) atWork(un *unit) bool {
	return slices.ContainsFunc(un.hosts, func(h int) bool {
		s := j.stayIn(un.name, h)
		return s.open() && !s.fallen && s.process == j.p.epoch
	})
}
