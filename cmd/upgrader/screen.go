package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/promise"
)

// A screen lays out the live table. It is a pure function from what is known to lines, none wider than asked for.
type screen struct {
	graph *engine.Graph
	head  heading
	style style
	last  func(node string) string     // the latest line of a node's output; may be nil
	down  map[string]map[string]string // by group: hosts that were out of service at the last look, and why
}

// lines is the whole table: heading, stages, a row per step at work, totals. It leaves a line of the terminal free, so
// that nothing scrolls.
func (sc screen) lines(s engine.Summary, now time.Time, width, height int) []string {
	lines := []string{sc.headline(now), sc.stages(s, width)}
	rows := [][]string{{"HOST", "VERSION", "STEP", "TIME", "NOW"}}
	for _, n := range s.Nodes {
		if n.State == engine.Running || n.State == engine.Waiting {
			rows = append(rows, sc.row(n, s.Facts, now))
		}
	}
	for _, q := range sc.queues(s, now) {
		rows = append(rows, []string{"", "", sc.style.mark(engine.Waiting) + " " + oneLine(q.group), spell(q.since), oneLine("waits: " + q.why)})
	}
	if room := max(height-5, 2); len(rows) > room {
		more := len(rows) - room + 1
		rows = append(rows[:room-1], []string{"", "", fmt.Sprintf("and %d more", more), "", ""})
	}
	if len(rows) > 1 {
		table := columns(rows)
		table[0] = sc.style.faint(table[0])
		lines = append(lines, table...)
	}
	lines = append(lines, sc.totals(s))
	if room := max(height-1, 1); len(lines) > room {
		lines = lines[len(lines)-room:]
	}
	for i := range lines {
		lines[i] = sc.style.cut(lines[i], width)
	}
	return lines
}

func (sc screen) headline(now time.Time) string {
	h := sc.head
	parts := []string{sc.style.bold(oneLine(h.Plan)), "run " + h.Run, "cluster " + oneLine(h.Cluster)}
	if h.To != "" {
		parts = append(parts, sc.style.arrow()+" "+h.To)
	}
	return strings.Join(append(parts, spell(now.Sub(h.Begun))), "  ")
}

// stages sums up the steps of the plan's top level: how far each is, in hosts. Where there is no room for all, those
// that are done make room first.
func (sc screen) stages(s engine.Summary, width int) string {
	stages := stagesOf(s)
	done := slices.IndexFunc(stages, func(st stage) bool { return st.state != engine.Done })
	line := ""
	for past := 0; past <= max(done, 0); past++ {
		var parts []string
		if past > 0 {
			parts = append(parts, fmt.Sprintf("%s %d more", sc.style.mark(engine.Done), past))
		}
		for _, st := range stages[past:] {
			parts = append(parts, sc.stage(st))
		}
		if line = strings.Join(parts, "  "); lipgloss.Width(line) <= width {
			break
		}
	}
	return line
}

func (sc screen) stage(st stage) string {
	text := sc.style.mark(st.state) + " " + oneLine(st.name)
	if st.hosts > 1 && st.state != engine.Done && st.state != engine.Pending {
		text += fmt.Sprintf(" %d/%d", st.done, st.hosts)
	}
	return text
}

// A stage is a step of the plan's top level, with all that is inside.
type stage struct {
	name        string
	state       string
	hosts, done int
}

func stagesOf(s engine.Summary) []stage {
	var stages []stage
	perHost := map[string]map[string][]string{} // stage, host, states
	for _, n := range s.Nodes {
		name, _, _ := strings.Cut(n.Step, "/")
		if perHost[name] == nil {
			perHost[name] = map[string][]string{}
			stages = append(stages, stage{name: name})
		}
		perHost[name][n.Host] = append(perHost[name][n.Host], n.State)
	}
	for i := range stages {
		st := &stages[i]
		var all []string
		st.hosts = len(perHost[st.name])
		for _, states := range perHost[st.name] {
			if worst(states) == engine.Done {
				st.done++
			}
			all = append(all, states...)
		}
		st.state = worst(all)
	}
	return stages
}

// worst is the state of a set: what failed shows before what runs, and a set is done only as a whole.
func worst(states []string) string {
	has := func(s ...string) bool {
		return slices.ContainsFunc(states, func(x string) bool { return slices.Contains(s, x) })
	}
	switch {
	case has(engine.Failed, engine.Refused):
		return engine.Failed
	case has(engine.Paused):
		return engine.Paused
	case has(engine.Running, engine.Waiting), has(engine.Done, engine.Skipped) && has(engine.Pending):
		return engine.Running
	case has(engine.Pending):
		return engine.Pending
	default:
		return engine.Done
	}
}

func (sc screen) row(n engine.NodeStatus, facts engine.Facts, now time.Time) []string {
	message := n.Message
	switch {
	case n.State == engine.Waiting && strings.Contains(message, " waits: "): // an eviction says by itself who waits
	case n.State == engine.Waiting:
		message = "waits: " + message
	case sc.last != nil:
		message = cmp.Or(strings.TrimSpace(sc.last(n.ID)), message)
	}
	return []string{
		sc.style.cut(oneLine(n.Host), 20), cmp.Or(facts[promise.Kubelet(n.Host)], "-"),
		sc.style.cut(sc.style.mark(n.State)+" "+oneLine(n.Step), 34),
		spell(now.Sub(n.Started)), oneLine(message),
	}
}

// A queue is a rollout at which the next has to wait: a host of its own, or a step that needs it.
type queue struct {
	group string
	since time.Duration
	why   string
}

// queues says, for rollouts at which nothing is at work, what the next host or step waits for.
func (sc screen) queues(s engine.Summary, now time.Time) []queue {
	var queues []queue
	for _, g := range sc.graph.Groups {
		l, idle := sc.lull(g, s)
		if !idle {
			continue
		}
		var why []string
		if left := g.Soak - now.Sub(l.since); left > 0 && l.changed {
			why = append(why, fmt.Sprintf("watched for %s more before the next %s", spell(left), l.next))
		}
		if l.next == nextHost {
			why = append(why, sc.outOfService(g)...)
		}
		if len(why) > 0 {
			queues = append(queues, queue{g.ID, now.Sub(l.since), strings.Join(why, ", ")})
		}
	}
	return queues
}

// outOfService are the hosts of a rollout that leave no room for the next one.
func (sc screen) outOfService(g engine.Group) []string {
	var words []string
	for _, host := range slices.Sorted(maps.Keys(sc.down[g.ID])) {
		words = append(words, fmt.Sprintf("%s is out of service (%s)", host, sc.down[g.ID][host]))
	}
	return words
}

// What comes next at a rollout.
const (
	nextHost = "host" // of its own
	nextStep = "step" // one that needs it
)

// A lull is the time of a rollout that has begun and has nothing at work, while something is still to come.
type lull struct {
	since   time.Time // when its last step ended
	changed bool      // it had something to change, or nothing of it is watched
	next    string    // nextHost or nextStep
}

func (sc screen) lull(g engine.Group, s engine.Summary) (l lull, idle bool) {
	inside := map[string]bool{}
	for i, n := range s.Nodes {
		if sc.graph.Nodes[i].Group != g.ID {
			continue
		}
		if n.State == engine.Running || n.State == engine.Waiting {
			return l, false
		}
		inside[n.ID] = true
		if n.State == engine.Pending {
			l.next = nextHost
		}
		if n.Ended.After(l.since) {
			l.since = n.Ended
		}
		l.changed = l.changed || n.Effects > 0
	}
	if l.next == "" && sc.awaited(inside, s) {
		l.next = nextStep
	}
	return l, l.next != "" && !l.since.IsZero()
}

// awaited says whether a node that has not begun needs one of these.
func (sc screen) awaited(nodes map[string]bool, s engine.Summary) bool {
	for i, n := range sc.graph.Nodes {
		if s.Nodes[i].State == engine.Pending && !nodes[n.ID] && slices.ContainsFunc(n.Needs, func(id string) bool { return nodes[id] }) {
			return true
		}
	}
	return false
}

func (sc screen) totals(s engine.Summary) string {
	tally := map[string]int{}
	for _, n := range s.Nodes {
		tally[n.State]++
	}
	text := fmt.Sprintf("done %d of %d  running %d  failed %d", tally[engine.Done]+tally[engine.Skipped], len(s.Nodes),
		tally[engine.Running]+tally[engine.Waiting], tally[engine.Failed]+tally[engine.Refused])
	if s.Interrupted {
		return text + "   stopping; ^C again detaches at once"
	}
	return text + "   ^C stops after the changes under way"
}
