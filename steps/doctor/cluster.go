package doctor

import (
	"errors"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
)

// etcd is what the members say of each other, where no host shows already that one does not run.
func (p *Picture) etcd(known []Diagnosis) []Diagnosis {
	if p.Etcd == nil {
		return nil
	}
	trouble := p.Etcd.Trouble()
	var waits *engine.NotYetError
	var refused *engine.RefusedError
	d := Diagnosis{Host: engine.Cluster, Component: census.Etcd, State: Failing, Next: "look at the host of the member that is named, and `etcdctl endpoint status --cluster`"}
	local := slices.ContainsFunc(known, func(x Diagnosis) bool {
		return x.Component == census.Etcd || x.Component == "host" || slices.Contains([]string{containerd, crio, someRuntime}, x.Component)
	})
	switch {
	case errors.As(trouble, &refused):
		d.State, d.Why, d.Next = Unwell, refused.Why, refused.Remedy
	case errors.As(trouble, &waits) && !local:
		d.Why = waits.Why
		if p.Etcd.Mute() {
			d.Next = etcd.ToBeAsked
		}
	default:
		return nil
	}
	p.explain(&d, p.someControlPlane(), clue{knowledge.FromEtcd, p.Etcd.Raw})
	return []Diagnosis{d}
}

func (p *Picture) someControlPlane() *Host {
	for _, h := range p.Hosts {
		if h.Err == nil && h.ControlPlane {
			return h
		}
	}
	return nil
}

// fromAPI is what only the API knows: nodes that are no host of the inventory, pods that do not come up, and the API
// itself where its servers are well.
func (p *Picture) fromAPI(known []Diagnosis) []Diagnosis {
	if p.Away != nil {
		return p.away(known)
	}
	var all []Diagnosis
	for _, n := range p.nodes() {
		if !n.Ready && !p.looksAt(n.Name) {
			all = append(all, Diagnosis{Host: n.Name, Component: kubelet, State: Failing, Why: "its node is not Ready: " + n.ReadyReason,
				Next: "see `kubectl describe node " + n.Name + "`; the host was not looked at"})
		}
	}
	told := map[string]int{} // by the controller of the pods and what ails them: one stands for all
	for _, c := range p.Complaints {
		key := c.Owner + " " + c.Why
		if i, same := told[key]; same && c.Owner != "" {
			all[i].Log = append(all[i].Log, c.String())
			continue
		}
		for _, d := range p.complaint(c, known) {
			told[key] = len(all)
			all = append(all, d)
		}
	}
	return all
}

func (p *Picture) looksAt(name string) bool {
	return slices.ContainsFunc(p.Hosts, func(h *Host) bool { return h.Name == name })
}

// away is an API that does not answer, where no host shows why.
func (p *Picture) away(known []Diagnosis) []Diagnosis {
	cause := func(d Diagnosis) bool {
		return d.Component == census.APIServer || d.Component == census.Etcd || d.Component == "host"
	}
	if slices.ContainsFunc(known, cause) {
		return nil
	}
	d := Diagnosis{Host: engine.Cluster, Component: "API", State: Down, Why: "it does not answer at " + p.Cluster.Server + ": " + p.Away.Error(),
		Next: "see the load balancer and the address in the kubeconfig: the API servers themselves are well"}
	if p.someControlPlane() == nil {
		d.Next = "look at the control planes with `upgrader doctor`: none of them was looked at"
	}
	p.explain(&d, p.someControlPlane(), clue{knowledge.FromAPI, p.Away.Error()}, clue{knowledge.KubeadmOutput, p.Away.Error()})
	return []Diagnosis{d}
}

// complaint is a pod of kube-system that is not well. Of a static pod its host knows more, where it could be asked.
func (p *Picture) complaint(c kube.Complaint, known []Diagnosis) []Diagnosis {
	if len(p.Hosts) > 0 && c.Node != "" && !p.looksAt(c.Node) {
		return nil
	}
	host := p.at(c.Node)
	name := c.Name
	if c.Mirror {
		if name = census.Component(c.Pod); host != nil && host.Components[name] != nil {
			return nil // a component that its host shows to be well is well, whatever the API still believes
		}
	}
	d := Diagnosis{Host: c.Node, Component: name, State: Failing, Why: strings.TrimPrefix(c.String(), "pod "+c.Pod.String()+": "),
		Next: "see `kubectl -n " + c.Namespace + " describe pod " + c.Name + "`, and its log with `logs --previous`"}
	if c.Node == "" {
		d.Host = engine.Cluster
	}
	if c.Why == "NotReady" && find(known, c.Node, kubelet, "host") != nil {
		return nil // nobody has asked it since
	}
	clues := []clue{{knowledge.FromAPI, c.String()}}
	if host != nil {
		ofPod := func(l string) bool { return strings.Contains(l, c.Name) }
		log := slices.DeleteFunc(ofItself(host.Journals[kubelet]), func(l string) bool { return !ofPod(l) })
		clues = append(clues, clue{knowledge.KubeletLog, joined(log)})
	}
	p.explain(&d, host, clues...)
	return []Diagnosis{d}
}

// at is a host that could be asked.
func (p *Picture) at(name string) *Host {
	for _, h := range p.Hosts {
		if h.Name == name && h.Err == nil {
			return h
		}
	}
	return nil
}
