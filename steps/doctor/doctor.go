// Package doctor says what is wrong with a cluster that is in trouble: which component does not run on which host, what
// its log says, which known failure that is, and what to do next. It is preflight without a plan, for a cluster whose API
// may be away.
//
// Looking and judging are apart: Look brings home a Picture, Diagnose is a pure function of it. It reads only. It may
// import engine (for what etcd's report says, and the name of what is no host), census, etcd, finding, inquiry, knowledge,
// kube, preflight, remote, skew and survey; only cmd imports it.
package doctor

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/survey"
)

// State says how ill a component is.
type State string

// The states, the worst first.
const (
	Down       State = "down"       // it does not run
	Restarting State = "restarting" // it ends again and again
	Failing    State = "failing"    // it runs, and does not do its work
	Unwell     State = "unwell"     // it works, and will not for long, or not with the others
)

func (s State) rank() int { return slices.Index([]State{Down, Restarting, Failing, Unwell}, s) }

// A Diagnosis is one component that is not well. Its texts are printable.
type Diagnosis struct {
	Host      string   `json:"host"`      // as the inventory calls it; engine.Cluster is that of what belongs to none
	Component string   `json:"component"` // kubelet, containerd, etcd, kube-apiserver, disk, ..., or the name of a pod
	State     State    `json:"state"`
	Why       string   `json:"why"`             // one sentence without a full stop
	Log       []string `json:"log,omitempty"`   // the last lines that tell something
	Known     *Known   `json:"known,omitempty"` // the known failure that it is
	After     string   `json:"after,omitempty"` // what has to be cured first, where this only follows from it
	Next      string   `json:"next"`            // what to do, in the imperative, with the command
}

// Known is a known failure, and what it was recognised by.
type Known struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Sources []string `json:"sources"` // where it was reported (repository#number), or the file that says so
	Seen    string   `json:"seen"`    // the part of a text that shows it
}

// Diagnose names everything that is not well, causes before what follows from them, then the worst first. Of a cluster
// that is well it says nothing.
func Diagnose(p *Picture) []Diagnosis {
	var all []Diagnosis
	for _, h := range p.Hosts {
		all = append(all, p.host(h)...)
	}
	all = append(all, p.etcd(all)...)
	all = append(all, p.fromAPI(all)...)
	all = append(all, p.checks(all)...)
	followUp(all)
	printable.Clean(&all) // what a diagnosis quotes may be a whole log
	slices.SortStableFunc(all, func(a, b Diagnosis) int {
		return cmp.Or(
			cmp.Compare(min(1, len(a.After)), min(1, len(b.After))),
			cmp.Compare(a.State.rank(), b.State.rank()),
			cmp.Compare(order(a.Component), order(b.Component)),
			strings.Compare(a.Host, b.Host),
		)
	})
	return all
}

// order is what has to work before what: the host, its runtime, the kubelet, then what runs in pods.
func order(component string) int {
	order := []string{"host", "disk", "certificates", "containerd", "crio", "container runtime", "kubelet", "etcd", "kube-apiserver", "API"}
	if i := slices.Index(order, component); i >= 0 {
		return i
	}
	return len(order)
}

// host is everything about one host that can be seen on it.
func (p *Picture) host(h *Host) []Diagnosis {
	if h.Err != nil {
		return []Diagnosis{unreachable(h)}
	}
	all := append(hangs(h), p.disks(h)...)
	all = append(all, p.runtime(h)...)
	all = append(all, p.kubelet(h)...)
	for _, name := range components() {
		all = append(all, p.component(h, name)...)
	}
	return append(append(all, p.lastJob(h)...), p.forbidden(h)...)
}

// hangs names the programs that did not answer on a host. What they would have told is not known, and nothing is made of
// that.
func hangs(h *Host) []Diagnosis {
	if len(h.Hung) == 0 {
		return nil
	}
	return []Diagnosis{{Host: h.Name, Component: "host", State: Failing, Why: h.Hung[0], Log: h.Hung[1:],
		Next: survey.HungRemedy}}
}

// knowsServices says whether systemd could be asked.
func (h *Host) knowsServices() bool {
	return !slices.ContainsFunc(h.Hung, func(line string) bool { return strings.HasPrefix(line, "systemctl ") })
}

func unreachable(h *Host) Diagnosis {
	if stranger, ok := errors.AsType[*remote.StrangerError](h.Err); ok {
		return Diagnosis{Host: h.Name, Component: "host", State: Down, Why: "it could not be looked at: " + stranger.Why, Next: stranger.Remedy}
	}
	if remote.Hangs(h.Err) {
		return Diagnosis{Host: h.Name, Component: "host", State: Failing, Why: "it hangs: " + h.Err.Error(),
			Next: survey.HangsRemedy(h.Name)}
	}
	return Diagnosis{Host: h.Name, Component: "host", State: Down, Why: "it cannot be asked: " + h.Err.Error(),
		Next: "make `ssh " + h.Name + "` work as the inventory says, or turn the host on"}
}

// find is the diagnosis of a component on a host, if there is one.
func find(all []Diagnosis, host string, components ...string) *Diagnosis {
	for i := range all {
		if all[i].Host == host && slices.Contains(components, all[i].Component) {
			return &all[i]
		}
	}
	return nil
}
