package sim

import (
	"slices"
	"strconv"
	"time"

	"upgrader.dev/upgrader/engine"
)

// mostKeys bounds what steps can bring about on one host.
const mostKeys = 48

// draw writes a plan for so many hosts: rollouts one after the other and beside each other, also over the same hosts,
// single steps, gates and approvals between them, and what is done finally.
func (d dice) draw(hosts int) *plan {
	p := &plan{}
	taken := make([][2]bool, hosts+1) // by host: has a reboot, has a command
	for range d.between(0, 2) {
		p.put(d, d.single(d.pick(gate, gate, apply, approval, wait)))
	}
	for range d.between(1, d.between(1, 4)) {
		p.put(d, d.rollout(hosts, taken))
		if d.chance(40) {
			p.put(d, d.single(d.pick(gate, apply, approval, wait)))
		}
		if d.chance(10) {
			p.put(d, unit{hosts: d.some(hosts), steps: []step{d.step(gate)}})
		}
	}
	if d.chance(30) {
		p.put(d, unit{hosts: d.some(hosts), steps: []step{d.step(d.pick(install, ready))}})
	}
	d.finals(p, hosts)
	return p
}

func (d dice) pick(kinds ...kind) kind { return kinds[d.IntN(len(kinds))] }

// put adds a unit that comes after some of the others.
func (p *plan) put(d dice, u unit) {
	u.name = "u" + strconv.Itoa(len(p.units))
	for v := range p.units {
		last := v == len(p.units)-1
		if p.units[v].finally == u.finally && (last && d.chance(75) || !last && d.chance(10)) {
			u.needs = append(u.needs, v)
		}
	}
	u.steps = slices.Clone(u.steps)
	for i := range u.steps {
		u.steps[i].name, u.steps[i].key = u.steps[i].kind.String()+strconv.Itoa(i), p.keys
		p.keys++
	}
	p.units = append(p.units, u)
}

func (d dice) single(k kind) unit { return unit{hosts: []int{0}, steps: []step{d.step(k)}} }

func (d dice) step(k kind) step {
	s := step{kind: k, attempts: d.between(1, 3), timeout: d.span(40*time.Second, 4*time.Minute), backoff: d.span(time.Second, 5*time.Second)}
	switch k {
	case wait:
		s.lasts = d.span(time.Second, time.Minute)
		s.timeout = s.lasts + time.Minute
	case gate:
		s.strict = d.chance(50)
	case install:
		s.outage = d.chance(5)
	case reboot:
		s.timeout += 2 * time.Minute
	}
	s.late = d.late()
	s.again = d.chance(25)
	s.skip = k != gate && k != approval && k != uncordon && d.chance(4)
	return s
}

// late is what it means that a step's time is over; mostly nothing but that it has failed.
func (d dice) late() string {
	return [...]string{"", "", "", engine.StopRun, engine.AskPerson}[d.IntN(5)]
}

// some draws hosts, in an order of their own, at least one.
func (d dice) some(hosts int) []int {
	all := d.Perm(hosts)
	for i := range all {
		all[i]++
	}
	if d.chance(50) {
		slices.Sort(all)
	}
	if d.chance(40) {
		all = all[:d.between(1, len(all))]
	}
	return all
}

func (d dice) rollout(hosts int, taken [][2]bool) unit {
	u := unit{rollout: true, hosts: d.some(hosts), most: d.between(1, d.between(1, 4)), soak: time.Duration(d.between(0, 2)*d.between(0, 20)) * time.Second}
	if d.chance(50) {
		u.canary = d.between(1, 2)
	}
	if d.chance(30) {
		u.failures = d.between(1, 2)
	}
	for _, k := range d.pattern() {
		if !d.repeats(k, u.hosts, taken) {
			u.steps = append(u.steps, d.step(k))
		}
	}
	if d.chance(25) { // a gate of each host's own: what became of other hosts is no matter of it
		own := d.step(gate)
		own.strict = false
		u.steps = slices.Insert(u.steps, d.between(0, d.between(0, len(u.steps))), own) // mostly before the others
	}
	return u
}

func (d dice) pattern() []kind {
	return [][]kind{
		{drain, install, uncordon},
		{drain, reboot, ready, uncordon},
		{drain, install, reboot, uncordon},
		{install, drain, install, uncordon, ready},
		{install, command},
		{drain, install, command, uncordon},
	}[d.IntN(6)]
}

// repeats keeps a second reboot or command of one host out of a plan: an effect in doubt follows its host and its kind.
func (d dice) repeats(k kind, hosts []int, taken [][2]bool) bool {
	if k != reboot && k != command {
		return false
	}
	i := int(k - reboot)
	for _, h := range hosts {
		if taken[h][i] {
			return true
		}
	}
	for _, h := range hosts {
		taken[h][i] = true
	}
	return false
}

// finals adds what is done at the end of every process.
func (d dice) finals(p *plan, hosts int) {
	if d.chance(30) {
		u := unit{finally: true, rollout: true, hosts: d.some(hosts), most: d.between(1, 2), steps: []step{d.step(uncordon)}}
		if d.chance(30) {
			u.steps = append(u.steps, d.step(ready))
		}
		p.put(d, u)
	}
	if d.chance(40) {
		u := d.single(tell)
		u.finally = true
		p.put(d, u)
	}
}
