package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/approval"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
)

// conclude tells what became of the run, and what to do next. What it returns is the exit code's reason.
func (s *session) conclude(ctx context.Context, summary engine.Summary, detached bool) error {
	if detached {
		summary.Interrupted = true
		if s.manifest.Sandbox {
			s.console.say("detached; the pretend cluster of run %s ends here (`upgrader sandbox` makes one that stays)", s.manifest.ID)
		} else {
			s.console.say("detached: what runs on hosts goes on by itself\n  go on with: upgrader resume %s", s.manifest.ID)
		}
		return &runEnded{summary}
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 10*time.Second, errors.New("the cluster does not answer"))
	defer cancel()
	nodes, err := s.world.client.Nodes(ctx)
	if err != nil {
		s.console.say("the nodes cannot be listed: %v", err)
	}
	for _, alike := range failures(summary) {
		s.tellFailure(alike, nodes)
	}
	if s.mode != outputJSON {
		s.console.flush() // the table is on another stream
		b := newBusy(s.graph)
		_ = journal.Scan(string(s.dir), b.take) // without it there are no times in the table
		for _, line := range versionTable(s.graph, s.before(), b.total, nodes) {
			writeLine(s.console.out, line)
		}
		s.console.flush()
	}
	s.tellEnd(summary)
	if summary.State == engine.Done {
		return nil
	}
	return &runEnded{summary}
}

// tellEnd is the last word of a run: what it came to, and the one command that continues.
func (s *session) tellEnd(summary engine.Summary) {
	id := s.manifest.ID
	switch {
	case summary.State == engine.Done:
		s.console.say("run %s is done", id)
		return
	case s.manifest.Sandbox:
		s.console.say("run %s is %s%s; its pretend cluster ends here (`upgrader sandbox` makes one that stays)", id, summary.State, colon(summary.Why))
		return
	case summary.Refused:
		s.console.say("run %s was stopped by a gate; once it is open: upgrader resume %s", id, id)
		return
	case summary.State == engine.Failed:
		for _, n := range undecided(summary) {
			if n.State == engine.Failed {
				s.console.say("to approve it after all: upgrader approve %s %s", id, n.ID)
			}
		}
		s.console.say("run %s failed%s; once the cause is gone: upgrader resume %s", id, colon(summary.Why), id)
		return
	}
	asking := false
	for _, n := range summary.Nodes {
		if n.State == engine.Paused && n.Kind == approval.Kind {
			asking = true
			s.console.say("paused: %s\n  decide with:  %s", n.Message, answerWith(id, &n))
		} else if n.State == engine.Paused && engine.AsksLate(n.Message) {
			asking = true
			s.console.say("paused: %s: %s\n  decide with:  %s", n.ID, n.Message, answerWith(id, &n))
		} else if n.State == engine.Paused {
			asking = true
			s.console.say("paused: %s", n.Message)
		}
	}
	if !asking {
		s.console.say("run %s is paused%s", id, colon(summary.Why))
	}
	s.console.say("  go on with:   upgrader resume %s", id)
}

// undecided are the approvals that a run stopped at: nobody has decided, or somebody has rejected.
func undecided(summary engine.Summary) []engine.NodeStatus {
	var nodes []engine.NodeStatus
	for _, n := range summary.Nodes {
		if n.Kind == approval.Kind && (n.State == engine.Paused || n.State == engine.Failed) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// failures are the steps that failed or refused. Those that say the same on several hosts are told together.
func failures(summary engine.Summary) [][]engine.NodeStatus {
	var groups [][]engine.NodeStatus
	at := map[string]int{}
	for _, n := range summary.Nodes {
		if n.State != engine.Failed && n.State != engine.Refused {
			continue
		}
		alike := n.Step + "\x00" + strings.ReplaceAll(n.Message, n.Host, "\x00")
		i, known := at[alike]
		if !known {
			i = len(groups)
			at[alike], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], n)
	}
	return groups
}

// tellFailure says all that is known about a step that failed, on one host or on several alike: what, where, why, the
// last output, how the hosts are now.
func (s *session) tellFailure(alike []engine.NodeStatus, nodes []kube.Node) {
	c, n := s.console, alike[0]
	var hosts []string
	for _, a := range alike {
		hosts = append(hosts, a.Host)
	}
	c.say("")
	head := fmt.Sprintf("%s %s on %s%s", strings.ToUpper(n.State), n.Step, strings.Join(hosts, ", "), attempts(n))
	writeLine(c.errs, c.style(c.errs).mark(n.State)+" "+printable.Text(head)) // the mark's colour is our own and stays as it is
	for line := range strings.SplitSeq(n.Message, "\n") {
		c.say("  %s", line)
	}
	if node := s.board.node(n.ID); node != nil {
		s.tellWhere(node)
	}
	for _, node := range nodes {
		if slices.Contains(hosts, node.Name) {
			c.say("  %s now: %s", node.Name, hostWords(node))
		}
	}
	for _, host := range hosts {
		if s.gone(host, nodes) {
			c.say("  %s now: its node was there when this run began and is gone since\n  to go on without it: %s", host, s.without(host))
		}
	}
}

// gone says whether a host's node was there when the run began, and is not any more.
func (s *session) gone(host string, nodes []kube.Node) bool {
	was := s.before()[facts.Node(host)] != ""
	return was && len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n kube.Node) bool { return n.Name == host })
}

// without is what goes on without a host. One of an inventory is taken out of that. Where the cluster named the hosts, the run
// keeps to those of its beginning, and another takes those that are left; what is done there is not done again.
func (s *session) without(host string) string {
	if s.manifest.Inventory == "" {
		return fmt.Sprintf("begin anew with the nodes that there are: upgrader run %s, with the same --var", s.manifest.PlanPath)
	}
	return fmt.Sprintf("take it out of %s, then upgrader resume %s --accept-plan-change --settle %s=done", s.manifest.Inventory, s.manifest.ID, host)
}

// tellWhere says where a step stands in the plan and what it put out last.
func (s *session) tellWhere(n *engine.Node) {
	if n.At != "" {
		s.console.say("  in the plan: %s", n.At)
	}
	path := s.dir.log(n)
	tail := tailOf(path)
	if len(tail) > 0 {
		s.console.say("  last output (%s):", path)
	}
	for _, line := range tail {
		s.console.say("    %s", line)
	}
}

func attempts(n engine.NodeStatus) string {
	if n.Attempts < 2 {
		return ""
	}
	return fmt.Sprintf(" (attempt %d)", n.Attempts)
}

// hostWords is the state of a node in a few words.
func hostWords(n kube.Node) string {
	words := []string{"kubelet " + cmp.Or(n.KubeletVersion, "of no version"), "Ready"}
	if !n.Ready {
		words[1] = "not Ready" + parenthesis(n.ReadyReason)
	}
	if n.Unschedulable {
		by := ""
		if run := n.CordonedBy(); run != "" {
			by = " by " + run
		}
		words = append(words, "cordoned"+by)
	} else {
		words = append(words, "takes pods")
	}
	return strings.Join(words, ", ")
}

// before are the facts that were known when the run began, which may have been in another process.
func (s *session) before() engine.Facts {
	if s.history.began {
		return s.history.before
	}
	return s.facts
}

// versionTable is the result of a run: every host with its version before and now, and the time its steps took.
func versionTable(g *engine.Graph, begun engine.Facts, took map[string]time.Duration, nodes []kube.Node) []string {
	now := map[string]kube.Node{}
	for _, n := range nodes {
		now[n.Name] = n
	}
	rows := [][]string{{"HOST", "BEFORE", "NOW", "STATE", "TOOK"}}
	for _, t := range g.Targets {
		n, known := now[t.Name]
		state := "unknown"
		switch {
		case known && n.Unschedulable:
			state = "cordoned"
		case known && n.Ready:
			state = "Ready"
		case known:
			state = "not Ready"
		}
		rows = append(rows, []string{oneLine(t.Name), cmp.Or(before(begun, t.Name), "-"), cmp.Or(n.KubeletVersion, "-"), state, spell(took[t.Name])})
	}
	return columns(rows)
}

// busy is how long each host had a step at work, in all processes of a run; the time between them does not count.
type busy struct {
	nodes   *engine.Index
	total   map[string]time.Duration
	started map[string]journal.Record
}

func newBusy(g *engine.Graph) *busy {
	return &busy{g.Index(), map[string]time.Duration{}, map[string]journal.Record{}}
}

func (b *busy) take(rec *journal.Record) error {
	switch rec.Kind {
	case journal.Begin:
		clear(b.started)
	case journal.Start:
		b.started[rec.Node] = *rec
	case journal.Settled:
		if n, began := b.nodes.Lookup(rec.Node), b.started[rec.Node]; n != nil && began.Kind != "" {
			b.total[n.Target.Name] += lasted(began, *rec)
			delete(b.started, rec.Node)
		}
	}
	return nil
}

// lasted is the time between two records of one process: by its own count where they have it, which no clock that is set changes.
func lasted(from, to journal.Record) time.Duration {
	if to.Elapsed > 0 {
		return to.Elapsed - from.Elapsed
	}
	return to.Time.Sub(from.Time)
}
