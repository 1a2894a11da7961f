package sim

import (
	"math/bits"
	"slices"
	"time"
)

// A world is the hosts, the jobs on them and the API of the cluster. It is driven by the agenda and knows nothing of the
// engine.
type world struct {
	*agenda
	dice
	faults  *faults
	names   []string // of hosts; 0 is the cluster
	hosts   []host
	jobs    map[string]*job
	apiAway time.Duration // until then
	lock    int64         // the epoch that holds the lock; a smaller one is stale
	closed  time.Duration // gates are closed until then
	seen    func(*job)    // tells the judge what happens on hosts
	tracef  func(format string, args ...any)
}

// A host is a machine and what the cluster knows of it.
type host struct {
	alive       bool
	ours        bool  // it is down because of a reboot of the run
	cordoned    bool  // by the run
	foreign     bool  // by somebody else
	by          int   // key of the drain that cordoned it
	full        uint8 // its pods when it is in service
	pods        uint8
	terminating uint8
	kept        time.Duration // its first pod is, until then
	drained     [mostKeys]bool
	text        [mostKeys]int16 // what was brought about, 1 + the text of the step
	jobs        []*job          // that run on it now
}

// out says whether the host is out of service.
func (h *host) out() bool { return !h.alive || h.cordoned || h.foreign }

// because says why, in the words of a look.
func (h *host) because() string {
	switch {
	case !h.alive:
		return "NotReady"
	case h.foreign:
		return "cordoned by hand"
	}
	return "cordoned"
}

// outByUs says whether the run itself has the host out of service.
func (h *host) outByUs() bool { return h.cordoned || h.ours }

func newWorld(a *agenda, d dice, f *faults, hosts int) *world {
	w := &world{agenda: a, dice: d, faults: f, jobs: map[string]*job{}, hosts: make([]host, hosts+1)}
	w.names = append(w.names, "cluster")
	for i := range w.hosts {
		w.hosts[i].alive = true
		w.hosts[i].full = 1<<d.IntN(4) - 1
		w.hosts[i].pods = w.hosts[i].full
		w.hosts[i].foreign = i > 0 && f.cordons && d.chance(5)
	}
	for i := 1; i <= hosts; i++ {
		w.names = append(w.names, hostNames[i])
	}
	return w
}

var hostNames = [...]string{"", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11", "h12"}

// away says whether the API cannot be reached.
func (w *world) away() bool { return w.now < w.apiAway }

// die takes a host down: what runs on it is cut off.
func (w *world) die(i int, ours bool, lasts time.Duration) {
	h := &w.hosts[i]
	if !h.alive {
		return
	}
	w.trace("%s goes down for %s", w.names[i], lasts)
	h.alive, h.ours = false, ours
	for _, j := range slices.Clone(h.jobs) {
		if j.toy.kind != reboot {
			j.cutOff(w)
		}
	}
	w.after(lasts, func() { w.rise(i) })
}

func (w *world) rise(i int) {
	h := &w.hosts[i]
	if h.alive {
		return
	}
	w.trace("%s is back", w.names[i])
	h.alive, h.ours = true, false
	for _, j := range slices.Clone(h.jobs) { // the reboot that took it down
		j.end(w, true)
	}
}

// evict has a pod leave, which takes a moment.
func (w *world) evict(i, pod int) {
	h := &w.hosts[i]
	bit := uint8(1) << pod
	if h.pods&bit == 0 {
		return
	}
	h.pods &^= bit
	h.terminating |= bit
	w.after(w.span(time.Second, 15*time.Second), func() {
		h.terminating &^= bit
		w.note(h)
	})
}

// note remembers a drain that has come to its end.
func (w *world) note(h *host) {
	if (h.cordoned || h.foreign) && h.pods == 0 && h.terminating == 0 {
		h.drained[h.by] = true
	}
}

func (w *world) cordon(i, key int) {
	h := &w.hosts[i]
	h.cordoned, h.by = true, key
	w.note(h)
}

func (w *world) uncordon(i int) {
	h := &w.hosts[i]
	h.cordoned = false
	h.pods |= h.full &^ h.terminating
}

// holds says whether what a step brings about is there.
func (w *world) holds(t *toy) bool {
	h := &w.hosts[t.host]
	switch t.kind {
	case drain:
		return h.drained[t.key] || (h.cordoned || h.foreign) && h.pods == 0 && h.terminating == 0
	case install, reboot, command, apply, tell:
		return h.text[t.key] == t.goal()
	case uncordon:
		return !h.cordoned
	}
	return true
}

// each goes through the bits of a set.
func each(set uint8, do func(i int)) {
	for ; set != 0; set &= set - 1 {
		do(bits.TrailingZeros8(set))
	}
}

func (w *world) trace(format string, args ...any) {
	if w.tracef != nil {
		w.tracef("world: "+format, args...)
	}
}
