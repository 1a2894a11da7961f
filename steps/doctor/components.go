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

// A staticPod is a component of a host, and its manifest there.
type staticPod struct {
	*Component
	name     string
	manifest bool
	age      time.Duration // of the manifest; 0 without one
}

// staticPod is nil where the host tells nothing of it.
func (h *Host) staticPod(name string) *staticPod {
	if h.Components[name] == nil {
		return nil
	}
	c := &staticPod{Component: h.Components[name], name: name}
	path := manifests + name + ".yaml"
	if _, c.manifest = h.Files[path]; c.manifest {
		c.age = h.Now.Sub(h.Changed[path]).Truncate(time.Second)
	}
	return c
}

// state is how ill a component is, by what its host tells; empty if it runs.
func (c *staticPod) state() State {
	// Two containers began lately, and both from the manifest as it is.
	again := len(c.Logs) > 1 && c.Logs[1].Began < min(loopWindow, c.age)
	switch {
	case c.Process == "" && c.manifest && again:
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
	c := h.staticPod(name)
	if c == nil || !c.belongsOn(h) {
		return nil
	}
	d := Diagnosis{Host: h.Name, Component: name, State: c.state()}
	switch d.State {
	case Restarting:
		d.Why = "it ends again and again"
	case Down:
		d.Why = c.absence()
	default:
		if d.State, d.Why = p.atWork(h, c); d.State == "" {
			return nil
		}
	}
	d.Next = c.advice()
	d.Log = c.said(d.State)
	p.explain(&d, h, p.componentClues(h, c)...)
	return []Diagnosis{d}
}

// said is the end of its own log, and of what the kubelet says of it where it does not come up.
func (c *staticPod) said(state State) []string {
	var own []string
	if len(c.Logs) > 0 {
		own = c.Logs[0].texts()
	}
	about := slices.DeleteFunc(ofItself(c.About), func(l string) bool { return !tellsTrouble(l) })
	if !c.manifest || state == Restarting && len(own) > 0 || len(about) == 0 {
		return telling(own, mostLines)
	}
	if len(own) == 0 {
		return telling(about, mostLines)
	}
	return append(telling(own, mostLines/2), telling(about, mostLines/2)...)
}

// belongsOn tells whether a host has to run a component: its manifest is there, or was, or it is a control plane.
func (c *staticPod) belongsOn(h *Host) bool {
	if c.manifest || c.Backup != "" {
		return true
	}
	if c.name == census.Etcd { // others have it elsewhere
		return h.EtcdDB > 0
	}
	return h.ControlPlane
}

func (c *staticPod) absence() string {
	switch {
	case !c.manifest:
		return manifestGone
	case c.age < replacing:
		return fmt.Sprintf("it does not run; its manifest is %s old, and the kubelet may still be at it", c.age)
	case len(c.Logs) > 0:
		return fmt.Sprintf("it does not run; what it said last was %s ago", c.Logs[0].Ended)
	}
	return "it does not run"
}

func (c *staticPod) advice() string {
	switch {
	case !c.manifest && c.Backup != "":
		return "put its manifest back: `cp " + c.Backup + " " + manifests + c.name + ".yaml`"
	case !c.manifest:
		return "put " + manifests + c.name + ".yaml back: from another control plane, with this host's addresses, or by `kubeadm init phase`"
	case len(c.Logs) == 0:
		return "see why the kubelet does not start it: `journalctl -u kubelet | grep " + c.name + "`"
	}
	return "mend what its log names in " + manifests + c.name + ".yaml or the files that it mentions; the whole log is in /var/log/pods/kube-system_" + c.name + "-*"
}

// atWork is how ill a component is whose process runs.
func (p *Picture) atWork(h *Host, c *staticPod) (State, string) {
	if c.name == census.APIServer && h.API != nil && !h.API.Ready {
		return Failing, "it runs, and is not ready: " + h.API.Says
	}
	if !p.answers() || p.node(h.Name) == nil || c.age < replacing {
		return "", ""
	}
	for _, x := range p.Complaints {
		if c.isMirroredBy(x.Pod, h) {
			return Failing, "it runs, and the API has " + x.String()
		}
	}
	_, mirrored := p.Cluster.Census.Static[h.Name][c.name]
	s, there := h.service(kubelet)
	if !mirrored && there && stateOf(s) == "" && s.Began > replacing {
		return Failing, "it runs, and the API has no pod of it: something refuses the kubelet's mirror pods"
	}
	return "", ""
}

func (c *staticPod) isMirroredBy(pod kube.Pod, h *Host) bool {
	return pod.Mirror && pod.Node == h.Name && census.Component(pod) == c.name
}

// componentClues are the component's log, what the kubelet says of it, what the API says, then what it was started with.
func (p *Picture) componentClues(h *Host, c *staticPod) []clue {
	var clues []clue
	if c.manifest {
		for _, l := range c.Logs {
			clues = append(clues, clue{knowledge.ContainerLog, joined(l.texts())})
		}
	}
	clues = append(clues, clue{knowledge.KubeletLog, joined(ofItself(c.About))})
	for _, x := range p.Complaints {
		if c.isMirroredBy(x.Pod, h) {
			clues = append(clues, clue{knowledge.FromAPI, x.String()})
		}
	}
	clues = append(clues, clue{knowledge.StaticPod, uncommented(h.Files[manifests+c.name+".yaml"])})
	if c.name == census.Etcd {
		clues = append(clues, clue{knowledge.FromEtcd, p.etcdSaid()}, clue{knowledge.Config, p.clusterConfiguration()})
	}
	if c.manifest { // without one it needs no certificate to be down
		clues = append(clues, clue{knowledge.Certificates, p.ended(ofComponents(h))})
	}
	return clues
}

func (p *Picture) etcdSaid() string {
	if p.Etcd == nil {
		return ""
	}
	return p.Etcd.Raw
}

// clusterConfiguration is kubeadm's, as the API has it.
func (p *Picture) clusterConfiguration() string {
	if p.Cluster == nil {
		return ""
	}
	return p.Cluster.Configs["kubeadm-config"]["ClusterConfiguration"]
}
