package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

// A Report is what the members of etcd said of themselves when they were asked from a host.
type Report struct {
	From string // the host
	Raw  string // what the host told, as it came: the answers of etcdctl -w json below lines that begin with "=="

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

// Ask asks every member of etcd from a host of the control plane. An error means that the host could not be asked, or
// its answer not be understood; what is wrong with etcd is in the report.
func Ask(ctx context.Context, hosts remote.Hosts, from string) (*Report, error) {
	host, err := hosts.Host(from)
	if err != nil {
		return nil, err
	}
	result, err := host.Query(ctx, remote.Script{Text: clientScript + healthScript})
	if exit, ok := errors.AsType[*remote.ExitError](err); ok {
		return &Report{From: from, mute: strings.TrimSpace(exit.Tail)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking etcd from %s: %w", from, err)
	}
	r := &Report{From: from, Raw: result.Stdout, complaint: lastLine(result.Stderr)}
	if r.said, err = read(result.Stdout); err != nil {
		return nil, fmt.Errorf("reading what etcdctl said on %s: %w", from, err)
	}
	return r, nil
}

// Trouble is what is wrong with etcd: an engine.NotYetError for what time can heal, an engine.RefusedError for what a
// person has to mend, nil if it is well.
func (r *Report) Trouble() error {
	if r.mute != "" {
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

// lastLine is the end of what a tool complained about, enough for a sentence.
func lastLine(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
