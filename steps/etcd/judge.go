package etcd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine"
)

// lagLimit is how many raft entries a member may have yet to apply: with more than that etcd itself refuses writes
// (maxGapBetweenApplyAndCommitIndex in server/etcdserver/v3_server.go).
const lagLimit = 5000

// judge is the gate: what no waiting heals refuses first, then everything that is not yet right is named at once.
// complaint is the last line that etcdctl wrote to standard error.
func (r report) judge(host, complaint string) error {
	if err := r.refusal(); err != nil {
		return err
	}
	if len(r.members) == 0 {
		return engine.NotYet("etcd does not answer on %s: %s", host, orElse(complaint, "no reason given"))
	}
	var faults []string
	faults = append(faults, r.unhealthy()...)
	faults = append(faults, r.apart()...)
	if len(faults) > 0 {
		return engine.NotYet("etcd is not healthy: %s", strings.Join(faults, "; "))
	}
	return nil
}

// refusal names what a person has to mend.
func (r report) refusal() error {
	for _, m := range r.members {
		if m.IsLearner {
			return engine.Refuse(fmt.Sprintf("member %s of etcd is a learner and has no vote", m.called()),
				fmt.Sprintf("promote it with `etcdctl member promote %x` once it has caught up, or remove it", m.ID))
		}
	}
	for _, alarm := range r.alarms {
		return engine.Refuse(fmt.Sprintf("etcd raised an alarm: %s", r.named(alarm)), remedy(alarm))
	}
	return r.versions()
}

// named puts the member's name into an alarm, which carries its number.
func (r report) named(alarm string) string {
	for _, m := range r.members {
		if strings.Contains(alarm, strconv.FormatUint(m.ID, 10)) {
			return alarm + " (" + m.called() + ")"
		}
	}
	return alarm
}

func remedy(alarm string) string {
	if strings.Contains(alarm, "NOSPACE") {
		return "compact, defragment every member, then `etcdctl alarm disarm`"
	}
	return "find the cause and mend the member, then `etcdctl alarm disarm`"
}

// unhealthy names the members that have not started or do not answer as healthy.
func (r report) unhealthy() []string {
	var faults []string
	for _, m := range r.members {
		if len(m.ClientURLs) == 0 || m.Name == "" {
			faults = append(faults, fmt.Sprintf("member %s has not started", m.called()))
			continue
		}
		i := slices.IndexFunc(r.health, func(h health) bool { return slices.Contains(m.ClientURLs, h.Endpoint) })
		switch {
		case i < 0:
			faults = append(faults, fmt.Sprintf("member %s does not answer", m.called()))
		case !r.health[i].Health:
			faults = append(faults, fmt.Sprintf("member %s is unhealthy: %s", m.called(), orElse(r.health[i].Error, "no reason given")))
		case r.of(m) == nil:
			faults = append(faults, fmt.Sprintf("member %s does not tell its state", m.called()))
		}
	}
	return faults
}

func (r report) of(m member) *status {
	for i := range r.status {
		if r.status[i].Status.Header.MemberID == m.ID {
			return &r.status[i]
		}
	}
	return nil
}

// apart names what the members do not agree about.
func (r report) apart() []string {
	var faults []string
	leaders, terms := map[uint64]bool{}, map[uint64]bool{}
	var newest uint64
	for _, s := range r.status {
		leaders[s.Status.Leader], terms[s.Status.RaftTerm] = true, true
		newest = max(newest, s.Status.RaftIndex)
	}
	switch {
	case leaders[0]:
		faults = append(faults, "a member knows no leader")
	case len(leaders) > 1:
		faults = append(faults, "the members name different leaders")
	case len(terms) > 1:
		faults = append(faults, "the members are in different raft terms: an election is going on")
	}
	for _, m := range r.members {
		s := r.of(m)
		if s == nil {
			continue
		}
		if behind := newest - min(newest, s.Status.RaftAppliedIndex); behind > lagLimit {
			faults = append(faults, fmt.Sprintf("member %s is %d entries behind", m.called(), behind))
		}
		if len(s.Status.Errors) > 0 {
			faults = append(faults, fmt.Sprintf("member %s reports %s", m.called(), strings.Join(s.Status.Errors, ", ")))
		}
	}
	return faults
}

// versions refuses members more than one minor apart: etcd upgrades one minor at a time, and members of neighbouring
// minors may live together only while the others follow (etcd.io, op-guide/upgrading).
func (r report) versions() error {
	for _, a := range r.status {
		for _, b := range r.status {
			x, errX := minor(a.Status.Version)
			y, errY := minor(b.Status.Version)
			if errX != nil || errY != nil || x.major != y.major || y.minor-x.minor > 1 {
				return engine.Refuse(fmt.Sprintf("the members of etcd run versions that do not go together: %s runs %s, %s runs %s",
					r.caller(a), a.Status.Version, r.caller(b), b.Status.Version), "upgrade the older ones, one minor at a time")
			}
		}
	}
	return nil
}

func (r report) caller(s status) string {
	for _, m := range r.members {
		if m.ID == s.Status.Header.MemberID {
			return m.called()
		}
	}
	return s.Endpoint
}

type family struct{ major, minor int }

func minor(version string) (family, error) {
	var f family
	_, err := fmt.Sscanf(version, "%d.%d", &f.major, &f.minor)
	return f, err
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
