package etcd

import (
	"context"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/remote"
)

// A Report is what the members of etcd said of themselves when they were asked from a host.
type Report struct {
	From string // the host
	Raw  string // what etcdctl -w json told there, as it came

	said      report
	complaint string // the last line that etcdctl wrote to standard error
	mute      string // why etcdctl could not be run
}

// A Member is one member of etcd, as it was seen.
type Member struct {
	Name, Version string
	Size, InUse   int64 // bytes of its database, and how many of them hold something
	Quota         int64 // bytes that the database may grow to; 0: not known
}

// about is the question's name.
const about = "etcd"

// Question is what a host of the control plane is asked, beside other things or alone; Read has the answer.
func Question() inquiry.Question {
	return inquiry.Question{Name: about, Text: clientScript + healthScript}
}

// Ask asks every member of etcd from a host of the control plane. An error means that the host could not be asked, or
// its answer not be understood; what is wrong with etcd is in the report.
func Ask(ctx context.Context, hosts remote.Hosts, from string) (*Report, error) {
	host, err := hosts.Host(from)
	if err != nil {
		return nil, err
	}
	answers, err := inquiry.Ask(ctx, host, inquiry.Question{}, Question())
	if err != nil {
		return nil, fmt.Errorf("asking etcd from %s: %w", from, err)
	}
	return Read(from, answers.To)
}

// Read finds the answer to Question among those of a host. An error means that it is not there, or cannot be understood.
func Read(from string, answers map[string]inquiry.Answer) (*Report, error) {
	a, told := answers[about]
	if !told {
		return nil, fmt.Errorf("%s tells nothing of etcd", from)
	}
	complaint := ""
	if n := len(a.Complaints); n > 0 {
		complaint = strings.TrimSpace(a.Complaints[n-1])
	}
	if a.Code != 0 {
		return &Report{From: from, mute: orElse(complaint, fmt.Sprintf("exit status %d", a.Code))}, nil
	}
	said, err := read(a.Sections)
	if err != nil {
		return nil, fmt.Errorf("reading what etcdctl said on %s: %w", from, err)
	}
	return &Report{From: from, Raw: raw(a.Sections), said: said, complaint: complaint}, nil
}

// Best is the report by which etcd is well, or the one that tells most; nil if there is none.
func Best(reports []*Report) *Report {
	var best *Report
	for _, r := range reports {
		switch {
		case r.Trouble() == nil:
			return r
		case best == nil || len(r.Members()) > len(best.Members()):
			best = r
		}
	}
	return best
}

// Mute says that etcdctl could not be run where etcd was asked, so that nothing is known of the members.
func (r *Report) Mute() bool { return r.mute != "" }

// ToBeAsked is what to do where a report is mute.
const ToBeAsked = "etcd is asked by etcdctl: install it there, or crictl, by which that of the member's own container is used"

// Trouble is what is wrong with etcd: an engine.NotYetError for what time can heal, an engine.RefusedError for what a
// person has to mend, nil if it is well.
func (r *Report) Trouble() error {
	if r.Mute() {
		return engine.NotYet("etcd cannot be asked from %s: %s", r.From, r.mute)
	}
	if r.said.kind == "none" {
		return notAControlPlane(r.From)
	}
	return r.said.judge(r.From, r.complaint)
}

// Members are those that told their state, in the order of etcd's list.
func (r *Report) Members() []Member {
	var all []Member
	for _, m := range r.said.members {
		if s := r.said.of(m); s != nil {
			all = append(all, Member{Name: m.called(), Version: s.Status.Version, Size: s.Status.DBSize, InUse: s.Status.DBSizeInUse, Quota: s.Status.DBSizeQuota})
		}
	}
	return all
}
