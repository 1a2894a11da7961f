// Package journal is the durable record of a run: an append-only file of JSON lines with sequence numbers and a chained
// checksum. It is the engine's only disk I/O and the only state of a run: status, logs, report and resume are folds
// over it. Its file is private. It imports the standard library, golang.org/x/sys and private only.
package journal

import "time"

// A Record is one line of the journal. Which fields are set depends on Kind.
type Record struct {
	Seq  int64     `json:"seq"`
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`

	// From is the first record of the append that this one was part of, if that is another. A journal that cannot be read from
	// some record on tells by it a write cut short from damage. Records of format 1 have none.
	From int64 `json:"from,omitempty"`

	// Elapsed is how long processes have been at work on the run, all together, when this was written. It is what waits,
	// soaks and deadlines are counted by: no clock can be set back or forward under it. Records of format 1 have none.
	Elapsed time.Duration `json:"elapsed,omitempty"`

	Format  int               `json:"format,omitempty"`  // Begin: the format of the records that follow
	Node    string            `json:"node,omitempty"`    // step@host
	Host    string            `json:"host,omitempty"`    // Intent: the target, which outlives the node's name in an edited plan
	Uses    string            `json:"uses,omitempty"`    // Intent: the kind of the step, which does too
	Ticket  string            `json:"ticket,omitempty"`  // of an effect
	Say     string            `json:"say,omitempty"`     // the words of a change
	Of      string            `json:"of,omitempty"`      // the one thing among many that it is about
	Repeat  string            `json:"repeat,omitempty"`  // what may be done with it in doubt
	State   string            `json:"state,omitempty"`   // of a node or a run
	Why     string            `json:"why,omitempty"`     // what is waited for, what went wrong, or the reason for a decision
	Attempt int               `json:"attempt,omitempty"` // of the node, from 1
	Epoch   int64             `json:"epoch,omitempty"`   // of the process that wrote it
	Digest  string            `json:"digest,omitempty"`  // of the graph or of the node
	Group   string            `json:"group,omitempty"`   // of a rollout; Settled: its host is through that
	Facts   map[string]string `json:"facts,omitempty"`   // what became known, or what expressions yielded
	Hosts   map[string]string `json:"hosts,omitempty"`   // hosts out of service and why
	Who     string            `json:"who,omitempty"`     // Decision: the person, as they named themselves
	By      string            `json:"by,omitempty"`      // Decision: the operating system's user who gave it
	Key     string            `json:"key,omitempty"`     // Decision: the fingerprint of the SSH key that signed it
	Machine string            `json:"machine,omitempty"` // Machine: the ID of the machine that the host is
	Outage  time.Duration     `json:"outage,omitempty"`  // Intent: how long the API may be away because of it
	Until   time.Time         `json:"until,omitzero"`    // of a wait that has an end, and of an outage: format 1 only
	Late    bool              `json:"late,omitempty"`    // Settled: it failed because its time was over
}

// Format is the format of the records that this program writes, and the newest that it reads. Format 1 had no From,
// Elapsed, Host and Uses.
const Format = 2

// Kind says what a record tells.
type Kind string

const (
	Begin    Kind = "begin"    // a process takes the run up: digest, epoch, facts known at the start
	Start    Kind = "start"    // a node begins, or begins again (attempt)
	Wait     Kind = "wait"     // a node waits: why, since the record's time, until
	Intent   Kind = "intent"   // an effect is about to be made
	Outcome  Kind = "outcome"  // what became of it: state ok, failed, refused, cut, never-started, in-doubt
	Settled  Kind = "settled"  // a node has ended: state done, skipped, failed, refused, paused
	Decision Kind = "decision" // a person decided: node, state (approve, reject, retry, done, wait, skip, stop), who
	Down     Kind = "down"     // hosts of a group that were seen out of service
	Stop     Kind = "stop"     // nothing new starts from here on: why
	End      Kind = "end"      // the process is finished with the run: state
	Machine  Kind = "machine"  // a host was seen, and is this machine from here on: host, machine
	Pinned   Kind = "pinned"   // the files of the run are these: facts, the digest of each; they hold once a Begin follows
	Beat     Kind = "beat"     // a process is at work and has had nothing to record for a while: elapsed
)
