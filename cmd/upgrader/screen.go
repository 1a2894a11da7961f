package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
)

// A screen lays out the live table. It is a pure function from what is known to lines, none wider than asked for.
type screen struct {
	head  heading
	style style
	last  func(node string) string // the latest line of a node's output; may be nil
}

// lines is the whole table: heading, stages, a row per step at work, totals. It leaves a line of the terminal free, so
// that nothing scrolls.
func (sc screen) lines(p *engine.Progress, now time.Time, width, height int) []string {
	lines := []string{sc.headline(now), sc.stages(p, width)}
	if rows := sc.rows(p, now, max(height-5, 2)); len(rows) > 1 {
		table := columns(rows)
		table[0] = sc.style.faint(table[0])
		lines = append(lines, table...)
	}
	lines = append(lines, sc.totals(p))
	if room := max(height-1, 1); len(lines) > room {
		lines = lines[len(lines)-room:]
	}
	for i := range lines {
		lines[i] = sc.style.cut(lines[i], width)
	}
	return lines
}

// rows are the heading of the table, the steps at work and the rollouts that wait, as many as there is room for.
func (sc screen) rows(p *engine.Progress, now time.Time, room int) [][]string {
	queues := queuesOf(p, now)
	all := 1 + p.Tally().AtWork() + len(queues)
	fit := all
	if all > room {
		fit = room - 1
	}
	rows := [][]string{{"HOST", "VERSION", "STEP", "TIME", "NOW"}}
	for n := range p.AtWork() {
		if len(rows) == fit {
			break
		}
		rows = append(rows, sc.row(n, p.Fact(facts.Kubelet(n.Host)), now))
	}
	for _, q := range queues[:min(len(queues), fit-len(rows))] {
		rows = append(rows, []string{"", "", sc.style.mark(engine.Waiting) + " " + oneLine(q.group), spell(q.since), oneLine("waits: " + q.why)})
	}
	if all > fit {
		rows = append(rows, []string{"", "", fmt.Sprintf("and %d more", all-fit), "", ""})
	}
	return rows
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
func (sc screen) stages(p *engine.Progress, width int) string {
	stages := p.Stages()
	texts, length := make([]string, len(stages)), 0
	for i, st := range stages {
		texts[i] = sc.stage(st)
		length += lipgloss.Width(texts[i]) + 2
	}
	done := slices.IndexFunc(stages, func(st engine.Stage) bool { return worst(st.Tally) != engine.Done })
	past, more := 0, ""
	for past < done && lipgloss.Width(more)+length-2 > width {
		length -= lipgloss.Width(texts[past]) + 2
		past++
		more = fmt.Sprintf("%s %d more  ", sc.style.mark(engine.Done), past)
	}
	return more + strings.Join(texts[past:], "  ")
}

func (sc screen) stage(st engine.Stage) string {
	state := worst(st.Tally)
	text := sc.style.mark(state) + " " + oneLine(st.Name)
	if st.Hosts > 1 && state != engine.Done && state != engine.Pending {
		text += fmt.Sprintf(" %d/%d", st.Done, st.Hosts)
	}
	return text
}

// worst is the state of a set: what failed shows before what runs, and a set is done only as a whole.
func worst(t engine.Tally) string {
	pending := t[engine.Pending] > 0
	switch {
	case t.Wrong() > 0:
		return engine.Failed
	case t[engine.Paused] > 0:
		return engine.Paused
	case t.AtWork() > 0, t.Well() > 0 && pending:
		return engine.Running
	case pending:
		return engine.Pending
	default:
		return engine.Done
	}
}

func (sc screen) row(n *engine.NodeStatus, version string, now time.Time) []string {
	message := n.Message
	switch {
	case n.State == engine.Waiting && strings.Contains(message, " waits: "): // an eviction says by itself who waits
	case n.State == engine.Waiting:
		message = "waits: " + message
	case sc.last != nil:
		message = cmp.Or(strings.TrimSpace(sc.last(n.ID)), message)
	}
	return []string{
		sc.style.cut(oneLine(n.Host), 20), cmp.Or(version, "-"),
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

// queuesOf says, for rollouts at which nothing is at work, what the next host or step waits for.
func queuesOf(p *engine.Progress, now time.Time) []queue {
	var queues []queue
	for _, r := range p.Rollouts() {
		next := nextAt(r)
		if next == "" {
			continue
		}
		since := p.Since(r.Ended, now)
		var why []string
		if left := r.Group.Soak - since; left > 0 && r.Changed {
			why = append(why, fmt.Sprintf("watched for %s more before the next %s", spell(left), next))
		}
		if next == nextHost {
			why = append(why, outOfService(r.Down)...)
		}
		if len(why) > 0 {
			queues = append(queues, queue{r.Group.ID, since, strings.Join(why, ", ")})
		}
	}
	return queues
}

// mostNamed is how many hosts a line names before it only counts the rest.
const mostNamed = 5

// outOfService are the hosts of a rollout that leave no room for the next one.
func outOfService(down []engine.OutOfService) []string {
	var words []string
	for _, host := range down[:min(len(down), mostNamed)] {
		words = append(words, fmt.Sprintf("%s is out of service (%s)", host.Host, host.Why))
	}
	if more := len(down) - mostNamed; more > 0 {
		words = append(words, fmt.Sprintf("and %d more are", more))
	}
	return words
}

// What comes next at a rollout.
const (
	nextHost = "host" // of its own
	nextStep = "step" // one that needs it
)

// nextAt is what comes next at a rollout that has begun and has nothing at work; nothing elsewhere.
func nextAt(r engine.Rollout) string {
	switch {
	case r.Tally.AtWork() > 0 || r.Ended.Time.IsZero():
		return ""
	case r.Tally[engine.Pending] > 0:
		return nextHost
	case r.Awaited > 0:
		return nextStep
	}
	return ""
}

func (sc screen) totals(p *engine.Progress) string {
	t, all := p.Tally(), 0
	for _, n := range t {
		all += n
	}
	text := fmt.Sprintf("done %d of %d  running %d  failed %d", t.Well(), all, t.AtWork(), t.Wrong())
	if p.Interrupted() {
		return text + "   stopping; ^C again detaches at once"
	}
	return text + "   ^C stops after the changes under way"
}
