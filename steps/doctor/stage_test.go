package doctor

import (
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// healthy is a cluster of a control plane and a worker that is well.
func healthy(t *testing.T) *Picture {
	t.Helper()
	base, err := knowledge.Load()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	p := &Picture{Now: now, Knowledge: base, Hosts: []*Host{wellHost("cp1", true), wellHost("w1", false)}}
	p.API = API{Server: "https://10.0.0.1:6443", Leaders: map[string]kube.Leader{}}
	for _, name := range []string{census.ControllerManager, census.Scheduler} {
		p.API.Leaders[name] = kube.Leader{Name: "cp1_1", Renewed: now, Lasts: 15 * time.Second}
	}
	for _, h := range p.Hosts {
		p.API.Nodes = append(p.API.Nodes, kube.Node{Name: h.Name, Ready: true, ControlPlane: h.ControlPlane, Annotations: map[string]string{}})
	}
	for _, name := range components() {
		p.API.Pods = append(p.API.Pods, mirror(name, "cp1"))
	}
	return p
}

func mirror(component, host string) kube.Pod {
	return kube.Pod{Namespace: "kube-system", Name: component + "-" + host, Node: host, Mirror: true, Ready: true, Phase: "Running"}
}

func wellHost(name string, controlPlane bool) *Host {
	h := &Host{
		Host: &survey.Host{
			Name: name, Root: true, Kubelet: "1.27.3", Files: map[string]string{},
			Units:   map[string]survey.Unit{kubelet: {Load: "loaded", Active: "active"}},
			Runtime: survey.Runtime{Asked: true, Answers: true},
		},
		ControlPlane: controlPlane, EtcdData: controlPlane,
		Services: map[string]*Service{
			kubelet:    {Active: "active", Sub: "running", Result: "success 0", Ran: true, Began: time.Hour},
			containerd: {Active: "active", Sub: "running", Result: "success 0", Ran: true, Began: time.Hour},
		},
		Components: map[string]*Component{},
	}
	for _, c := range components() {
		h.Components[c] = &Component{}
		if controlPlane {
			h.Components[c] = &Component{Manifest: true, Age: time.Hour, Process: "4711", Logs: []Log{{Began: time.Hour}}}
		}
	}
	if controlPlane {
		h.API = &survey.API{Address: "10.0.0.11:6443", Ready: true}
	}
	return h
}

// log is what a container said a moment ago.
func log(lines ...string) Log {
	l := Log{Began: 10 * time.Second, Ended: 5 * time.Second}
	for _, text := range lines {
		l.Lines = append(l.Lines, line{time.Date(2026, 11, 22, 2, 59, 55, 0, time.UTC), text})
	}
	return l
}

// stop lets a component of a host not run.
func (p *Picture) stop(host, component string) *Component {
	c := p.at(host).Components[component]
	c.Process = ""
	return c
}
