package engine

import (
	"fmt"
	"time"
)

// lookAgain is how long a rollout without room waits before it looks again whether a host that is out of service for
// somebody else's reasons has come back.
const lookAgain = 5 * time.Second

// patience is how long a rollout waits in all for such hosts before the run ends. It is twice the six minutes after
// which Kubernetes itself gives a dead node's volumes up.
const patience = 12 * time.Minute

// stage is how far a host of a rollout is.
type stage int

const (
	outside stage = iota // not begun
	held                 // begun by an earlier process: keeps its slot, may not go on before a look
	inside               // at work
	soaking              // done, and watched for a while: keeps its slot
	through              // done
	fallen               // failed: keeps its slot, because nobody knows what state it is in
)

// A groupState is one rollout: who is at work, who was seen out of service, and who may be next.
type groupState struct {
	*Group
	stage   map[string]stage
	nodes   map[string][]int
	started time.Time // of the present wait for room
	looking bool
	fresh   bool              // down was answered and nobody was let in since
	down    map[string]string // out of service when last looked
	soakEnd map[string]time.Time
	wakeAt  time.Time
	gaveUp  bool
	finally bool // of steps that are done finally
	needed  bool // something outside comes after it, and waits for the last soak too
}

func newGroupState(g *Group) *groupState {
	return &groupState{Group: g, stage: map[string]stage{}, nodes: map[string][]int{}, soakEnd: map[string]time.Time{}}
}

func (g *groupState) add(host string, node int) { g.nodes[host] = append(g.nodes[host], node) }

// activate notes that a node of a host has started. A held host stays held: only what an earlier process left open may
// start on it before there was a look.
func (g *groupState) activate(host string) {
	if s := g.stage[host]; s == outside || s == fallen {
		g.stage[host] = inside
	}
}

// resume keeps the slots of hosts that were at work or fell, and makes them wait for a look.
func (g *groupState) resume() {
	for _, h := range g.Hosts {
		if s := g.stage[h]; s == inside || s == fallen {
			g.stage[h] = held
		}
	}
	g.looking, g.fresh, g.gaveUp = false, false, false
	g.started, g.wakeAt = time.Time{}, time.Time{}
}

func (g *groupState) admitted(host string) bool { return g.stage[host] == inside }
func (g *groupState) done(host string) bool {
	return g.stage[host] == soaking || g.stage[host] == through
}
func (g *groupState) tolerated(host string) bool { return g.stage[host] == fallen }

// tolerate notes a failed host and says whether the run goes on without it.
func (g *groupState) tolerate(host string) bool {
	g.stage[host] = fallen
	return g.count(fallen) <= g.MaxFailures
}

// over says whether every host is through or has failed.
func (g *groupState) over() bool {
	return g.count(fallen)+g.count(through)+g.count(soaking) == len(g.Hosts)
}

func (g *groupState) count(s stage) int {
	n := 0
	for _, h := range g.Hosts {
		if g.stage[h] == s {
			n++
		}
	}
	return n
}

// check lets a host whose last node has settled out of the rollout, through a soak if anything was changed on it and
// something is still to come: another host, or a step that needs this rollout.
func (g *groupState) check(r *Reducer, host string) {
	for _, i := range g.nodes[host] {
		if s := r.nodes[i].state; s != Done && s != Skipped {
			return
		}
	}
	g.stage[host], g.fresh = through, false
	if g.Soak > 0 && g.begun(r, host) > 0 && (g.needed || g.count(outside)+g.count(held) > 0) {
		g.stage[host] = soaking
		g.soakEnd[host] = r.now.Add(g.Soak)
	}
}

// begun is when the first effect on a host was begun, counted in events; 0: none was.
func (g *groupState) begun(r *Reducer, host string) int {
	first := 0
	for _, i := range g.nodes[host] {
		if c := r.nodes[i].changed; c > 0 && (first == 0 || c < first) {
			first = c
		}
	}
	return first
}

// expire frees the slots of hosts whose soak is over.
func (g *groupState) expire(now time.Time) {
	for _, h := range g.Hosts {
		if g.stage[h] == soaking && !now.Before(g.soakEnd[h]) {
			g.stage[h] = through
			g.fresh = false // and look at it once more before the next host
		}
	}
	if !g.wakeAt.IsZero() && !now.Before(g.wakeAt) {
		g.wakeAt, g.fresh = time.Time{}, false
	}
}

func (g *groupState) answer(down map[string]string, now time.Time) {
	g.looking, g.fresh, g.down = false, true, down
	if g.started.IsZero() {
		g.started = now
	}
}

// pursue lets hosts in as far as there is room, and asks for a look or a wake-up where that is not known or will
// change. It says whether the rollout is waiting for something.
func (g *groupState) pursue(r *Reducer) bool {
	if g.gaveUp {
		return false
	}
	soaks := g.nextSoakEnd()
	g.sleep(r, soaks)
	next := g.candidates(r)
	if len(next) == 0 || !g.mayHaveRoom(next) {
		return len(next) > 0 || !soaks.IsZero()
	}
	if !g.fresh {
		if !g.looking {
			g.looking = true
			r.want(Command{Do: Look, Group: g.ID})
		}
		return true
	}
	if !g.letIn(next) {
		g.waitForRoom(r)
	}
	return true
}

// candidates are the hosts that could begin, or go on after a resume, if there were room; those already down first,
// because upgrading them makes nothing worse.
func (g *groupState) candidates(r *Reducer) []string {
	var first, then []string
	gates := g.finally || r.gatesOpen()
	for pos, h := range g.Hosts {
		if g.stage[h] != outside && g.stage[h] != held || !g.canStart(r, h, gates) || !g.canaryAllows(pos) {
			continue
		}
		if _, down := g.down[h]; down || g.stage[h] == held {
			first = append(first, h)
		} else {
			then = append(then, h)
		}
	}
	return append(first, then...)
}

func (g *groupState) canStart(r *Reducer, host string, gates bool) bool {
	for _, i := range g.nodes[host] {
		if r.nodes[i].state == Pending && (gates || r.nodes[i].regate) && r.satisfied(i) {
			return true
		}
	}
	return false
}

// canaryAllows holds everybody back until the canaries are through.
func (g *groupState) canaryAllows(pos int) bool {
	if pos < g.Canary || g.stage[g.Hosts[pos]] == held {
		return true
	}
	for _, h := range g.Hosts[:min(g.Canary, len(g.Hosts))] {
		if g.stage[h] != through {
			return false
		}
	}
	return true
}

func (g *groupState) slots() int { return g.MaxUnavailable - g.atWork() }

// atWork counts the hosts that hold a slot.
func (g *groupState) atWork() int {
	return g.count(held) + g.count(inside) + g.count(soaking) + g.count(fallen)
}

func (g *groupState) mayHaveRoom(next []string) bool {
	return g.slots() > 0 || g.stage[next[0]] == held
}

// letIn admits as many candidates as there is room for, counting every host that is at work or was seen out of
// service, and says whether it admitted any.
func (g *groupState) letIn(next []string) bool {
	any := false
	for _, h := range next {
		if !g.room(h) {
			continue
		}
		g.stage[h], any = inside, true
		g.started = time.Time{}
	}
	if any {
		g.fresh = false
	}
	return any
}

// room says whether one more host may be at work. A held host that is in service takes nothing from the others: it does
// nothing before it is let in itself. Hosts that have not begun wait for the held ones, though.
func (g *groupState) room(host string) bool {
	begun := g.stage[host] == held
	busy, unavailable := 0, 0
	for _, h := range g.Hosts {
		s := g.stage[h]
		_, down := g.down[h]
		working := s == inside || s == soaking || s == fallen || s == held && !begun
		if h == host {
			continue
		}
		if working {
			busy++
		}
		if working || down {
			unavailable++
		}
	}
	_, isDown := g.down[host]
	return busy < g.MaxUnavailable && (isDown || unavailable < g.MaxUnavailable)
}

// waitForRoom looks again after a while, as long as patience lasts.
func (g *groupState) waitForRoom(r *Reducer) {
	if r.running > 0 || g.count(soaking) > 0 {
		g.started = r.now // room will come of itself
	}
	if r.now.Sub(g.started) > patience {
		g.gaveUp, r.failed = true, true
		r.why = g.noRoom()
		return
	}
	at := r.now.Add(lookAgain)
	if g.wakeAt.IsZero() {
		g.sleep(r, at)
	}
}

// noRoom names the hosts that are out of service.
func (g *groupState) noRoom() string {
	why := fmt.Sprintf("%s: for %s there was no room for another host (maxUnavailable %d)", g.ID, patience, g.MaxUnavailable)
	for _, h := range g.Hosts {
		if d, down := g.down[h]; down {
			why += fmt.Sprintf("; %s: %s", h, d)
		}
	}
	return why
}

// nextSoakEnd is when the first soaking host frees its slot; zero if none soaks.
func (g *groupState) nextSoakEnd() time.Time {
	var at time.Time
	for _, h := range g.Hosts {
		if g.stage[h] == soaking && (at.IsZero() || g.soakEnd[h].Before(at)) {
			at = g.soakEnd[h]
		}
	}
	return at
}

func (g *groupState) sleep(r *Reducer, at time.Time) {
	if at.IsZero() || !g.wakeAt.IsZero() && !at.Before(g.wakeAt) {
		return
	}
	g.wakeAt = at
	r.want(Command{Do: Wake, At: at})
}
