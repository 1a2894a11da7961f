package engine

import (
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A Summary is what became of a run so far.
type Summary struct {
	State       string // running, paused, failed or done
	Why         string // of a state that is not done: the first failure, refusal or question
	Refused     bool   // a gate stopped it
	Interrupted bool   // a person stopped it
	Nodes       []NodeStatus
	Facts       Facts // everything that became known
}

// A NodeStatus is what became of one node so far.
type NodeStatus struct {
	ID, Step, Host, Kind string
	State                string // pending, running, waiting, done, skipped, failed, refused or paused
	Attempts             int
	Started, Ended       time.Time
	Message              string   // what it waits for, or why it ended as it did
	Decided              string   // what a person said last, and who it was
	Changes              []string // the words of the changes made or announced, in their order, each once
	Effects              int      // how many effects were begun
}

// take is what a record tells of the run as a whole.
func (s *Summary) take(rec *journal.Record) {
	switch rec.Kind {
	case journal.Begin:
		s.State, s.Why, s.Interrupted = Running, "", false
	case journal.Stop:
		if s.Interrupted = rec.Why == interrupted; !s.Interrupted {
			s.Why = rec.Why
		}
	case journal.End:
		if s.State = rec.State; rec.Why != "" && s.Why == "" {
			s.Why = rec.Why
		}
	}
}

// tell is what a record about a node tells beside the state that it is in now: when, how often, in which words.
func (n *NodeStatus) tell(rec *journal.Record) {
	switch rec.Kind {
	case journal.Start:
		if n.Started.IsZero() || !n.Ended.IsZero() { // a gate that is looked at again starts again
			n.Started = rec.Time
		}
		n.Ended, n.Message, n.Attempts = time.Time{}, "", rec.Attempt
	case journal.Wait:
		n.Message = rec.Why
	case journal.Intent:
		n.Message = rec.Say
		if rec.Of != "" {
			n.Message += " " + rec.Of
		}
		n.Effects++
		if len(n.Changes) == 0 || n.Changes[len(n.Changes)-1] != rec.Say {
			n.Changes = append(n.Changes, rec.Say)
		}
	case journal.Outcome:
		if isRefusal(rec) { // that it is waited for is not recorded again in the same words
			n.Message = rec.Why
		}
	case journal.Settled:
		n.Ended, n.Message = rec.Time, rec.Why
		if n.State == Pending {
			n.Ended = time.Time{}
		}
	case journal.Decision:
		if n.State == Done && rec.State == Done {
			n.Ended, n.Message = rec.Time, "settled by "+DecidedBy(rec)
		}
		n.Decided = rec.State + ": by " + DecidedBy(rec)
	}
}

func (s *Summary) conclude() {
	for _, n := range s.Nodes {
		switch n.State {
		case Refused:
			s.Refused = true
			fallthrough
		case Failed, Paused:
			if s.Why == "" {
				s.Why = n.ID + ": " + n.Message
			}
		}
	}
}
