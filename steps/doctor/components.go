package doctor

import (
	"fmt"
	"slices"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
)

// components are the static pods that kubeadm makes.
func components() []string { return append([]string{census.Etcd}, census.ControlPlane()...) }

const (
	manifests    = "/etc/kubernetes/manifests/"
	manifestGone = "it has no manifest in " + manifests
)

// What tells a component that ends again and again from one that was restarted once.
const (
	fresh      = time.Minute      // its container has run for less
	loopWindow = 10 * time.Minute // the one before began within; kubelet's back-off is 5 minutes at most (MaxContainerBackOff, pkg/kubelet/kubelet.go)
)

// replacing is how long the kubelet may take to stop one static pod and start the next.
const replacing = 90 * time.Second

// state is how ill a component is, by what its host tells; empty if it runs.
func (c *Component) state() State {
	// Two containers began lately, and both from the manifest as it is.
	again := len(c.Logs) > 1 && c.Logs[1].Began < min(loopWindow, c.Age)
	switch {
	case c.Process == "" && c.Manifest && again:
		return Restarting
	case c.Process == "":
		return Down
	case again && c.Logs[0].Began < fresh:
		return Restarting
	}
	return ""
}

// component is one static pod of a host.
func (p *Picture) component(h *Host, name string) []Diagnosis {
	c := h.Components[name]
	if c == nil || !p.belongs(h, name, c) {
		return nil
	}
	d := Diagnosis{Host: h.Name, Component: name, State: c.state()}
	switch d.State {
	case Restarting:
		d.Why = "it ends again and again"
	case Down:
		d.Why = c.absence()
	default:
		if d.State, d.Why = p.atWork(h, name, c); d.State == "" {
			return nil
		}
	}
	d.Next = c.advice(name)
	d.Log = c.said(d.State)
	p.explain(&d, h, p.componentClues(h, name, c)...)
	return []Diagnosis{d}
}

// said is the end of its own log, and of what the kubelet says of it where it does not come up.
func (c *Component) said(state State) []string {
	var own []string
	if len(c.Logs) > 0 {
		own = c.Logs[0].texts()
	}
	about := slices.DeleteFunc(ofItself(c.About), func(l string) bool { return !tellsTrouble(l) })
	if !c.Manifest || state == Restarting && len(own) > 0 || len(about) == 0 {
		return telling(own, mostLines)
	}
	if len(own) == 0 {
		return telling(about, mostLines)
	}
	return append(telling(own, mostLines/2), telling(about, mostLines/2)...)
}

// belongs tells whether a host has to run a component: its manifest is there, or was, or it is a control plane.
func (p *Picture) belongs(h *Host, name string, c *Component) bool {
	if c.Manifest || c.Backup != "" {
		return true
	}
	if name == census.Etcd { // others have it elsewhere
		return h.EtcdData
	}
	return h.ControlPlane
}

func (c *Component) absence() string {
	switch {
	case !c.Manifest:
		return manifestGone
	case c.Age < replacing:
		return fmt.Sprintf("it does not run; its manifest is %s old, and the kubelet may still be at it", c.Age)
	case len(c.Logs) > 0:
		return fmt.Sprintf("it does not run; what it said last was %s ago", c.Logs[0].Ended)
	}
	return "it does not run"
}

func (c *Component) advice(name string) string {
	switch {
	case !c.Manifest && c.Backup != "":
		return "put its manifest back: `cp " + c.Backup + " " + manifests + name + ".yaml`"
	case !c.Manifest:
		return "put " + manifests + name + ".yaml back: from another control plane, with this host's addresses, or by `kubeadm init phase`"
	case len(c.Logs) == 0:
		return "see why the kubelet does not start it: `journalctl -u kubelet | grep " + name + "`"
	}
	return "mend what its log names in " + manifests + name + ".yaml or the files that it mentions; the whole log is in /var/log/pods/kube-system_" + name + "-*"
}

// atWork is how ill a component is whose process runs.
func (p *Picture) atWork(h *Host, name string, c *Component) (State, string) {
	if name == census.APIServer && h.API != nil && !h.API.Ready {
		return Failing, "it runs, and is not ready: " + h.API.Says
	}
	if !p.API.answers() || p.node(h.Name) == nil || c.Age < replacing {
		return "", ""
	}
	isIt := func(pod kube.Pod) bool { return pod.Mirror && pod.Node == h.Name && census.Component(pod) == name }
	if i := slices.IndexFunc(p.API.Complaints, func(x kube.Complaint) bool { return isIt(x.Pod) }); i >= 0 {
		return Failing, "it runs, and the API has " + p.API.Complaints[i].String()
	}
	s := h.Services[kubelet]
	if !slices.ContainsFunc(p.API.Pods, isIt) && s != nil && s.state() == "" && s.Began > replacing {
		return Failing, "it runs, and the API has no pod of it: something refuses the kubelet's mirror pods"
	}
	return "", ""
}

// componentClues are the component's log, what the kubelet says of it, what the API says, then what it was started with.
func (p *Picture) componentClues(h *Host, name string, c *Component) []clue {
	var clues []clue
	if c.Manifest {
		for _, l := range c.Logs {
			clues = append(clues, clue{knowledge.ContainerLog, joined(l.texts())})
		}
	}
	clues = append(clues, clue{knowledge.KubeletLog, joined(ofItself(c.About))})
	for _, x := range p.API.Complaints {
		if x.Node == h.Name && x.Mirror && census.Component(x.Pod) == name {
			clues = append(clues, clue{knowledge.FromAPI, x.String()})
		}
	}
	clues = append(clues, clue{knowledge.StaticPod, uncommented(h.Files[manifests+name+".yaml"])})
	if name == census.Etcd {
		clues = append(clues, clue{knowledge.FromEtcd, p.etcdSaid()}, clue{knowledge.Config, p.API.Config})
	}
	return append(clues, clue{knowledge.Certificates, h.Expiration})
}

func (p *Picture) etcdSaid() string {
	if p.Etcd == nil {
		return ""
	}
	return p.Etcd.Raw
}
