package doctor

import (
	"time"

	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

// A Picture is everything that was seen of a cluster, at one time.
type Picture struct {
	Now        time.Time
	Hosts      []*Host
	Etcd       *etcd.Report    // as it was told on the host that could tell most; nil if none could
	Cluster    *survey.Cluster // what the API says; nil: there is no kubeconfig, and nobody was asked
	Away       error           // why the API says nothing; then Cluster has its address alone
	Complaints []kube.Complaint
	Knowledge  *knowledge.Base
}

// answers tells whether the API was asked and answered.
func (p *Picture) answers() bool { return p.Cluster != nil && p.Away == nil }

// nodes are those that the API tells of.
func (p *Picture) nodes() []kube.Node {
	if p.Cluster == nil {
		return nil
	}
	return p.Cluster.Census.Nodes
}

// A Host is a host as survey sees it, and what doctor.sh tells beside that. What could not be found out is zero.
type Host struct {
	*survey.Host
	ControlPlane bool

	Journals   map[string][]string // by service: the end of what one said that does not run, and of what the kubelet did
	Components map[string]*Component
	Job        *Job
	Forbidden  []string // what the API says of admin.conf, where it may do nothing
}

// A Component is a static pod of the control plane.
type Component struct {
	Backup  string   // where kubeadm keeps a copy of a manifest that is gone
	Process string   // its number, or the container's where the process could not be told; empty: it does not run
	Logs    []Log    // of its last container, and of the one before
	About   []string // what the kubelet says of it
}

// A Log is the end of what one container said.
type Log struct {
	Began, Ended time.Duration // ago: its first line and its last
	Lines        []line
}

// A line is a line of a container's log, as the container runtime writes it.
type line struct {
	at   time.Time
	text string
}

// A Job is the last that upgrader did on the host, within a day.
type Job struct {
	Name string
	Ago  time.Duration
	Code string // its exit status; "none": it runs, or was cut
	Out  []string
}

// minor is the minor version of the kubelet's program on a host: what runs there next. Zero if nobody knows.
func (h *Host) minor() knowledge.Minor {
	v, err := skew.Parse(h.Kubelet)
	if err != nil {
		return 0
	}
	return knowledge.Minor(v.Minor()) //nolint:gosec // versions are small numbers
}
