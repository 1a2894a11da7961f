package doctor

import (
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// now is when everything in these tests is looked at.
var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// healthy is a cluster of a control plane and a worker that is well.
func healthy(t *testing.T) *Picture {
	t.Helper()
	base, err := knowledge.Load()
	if err != nil {
		t.Fatal(err)
	}
	p := &Picture{Now: now, Knowledge: base, Hosts: []*Host{wellHost("cp1", true), wellHost("w1", false)}}
	p.Cluster = &survey.Cluster{At: now, Server: "https://10.0.0.1:6443", Leaders: map[string]kube.Leader{}, Configs: map[string]map[string]string{}}
	for _, name := range []string{census.ControllerManager, census.Scheduler} {
		p.Cluster.Leaders[name] = kube.Leader{Name: "cp1_1", Renewed: now, Lasts: 15 * time.Second}
	}
	for _, h := range p.Hosts {
		p.Cluster.Census.Nodes = append(p.Cluster.Census.Nodes, kube.Node{Name: h.Name, Ready: true, ControlPlane: h.ControlPlane, Annotations: map[string]string{}})
	}
	pods := map[string]kube.Pod{}
	for _, name := range components() {
		pods[name] = mirror(name, "cp1")
	}
	p.Cluster.Census.Static = map[string]map[string]kube.Pod{"cp1": pods}
	return p
}

func mirror(component, host string) kube.Pod {
	return kube.Pod{Namespace: "kube-system", Name: component + "-" + host, Node: host, Mirror: true, Ready: true, Phase: "Running"}
}

func wellHost(name string, controlPlane bool) *Host {
	h := &Host{
		Host: &survey.Host{
			Name: name, Root: true, Kubelet: "1.27.3", Files: map[string]string{}, Now: now, Changed: map[string]time.Time{},
			Units:   map[string]survey.Unit{kubelet: runs(time.Hour), containerd: runs(time.Hour)},
			Runtime: survey.Runtime{Asked: true, Answers: true},
		},
		ControlPlane: controlPlane, Journals: map[string][]string{}, Components: map[string]*Component{},
	}
	for _, c := range components() {
		h.Components[c] = &Component{}
		if controlPlane {
			h.Components[c] = &Component{Process: "4711", Logs: []Log{{Began: time.Hour}}}
			h.write(c, time.Hour)
		}
	}
	if controlPlane {
		h.EtcdDB = 20 << 20
		h.API = &survey.API{Address: "10.0.0.11:6443", Ready: true}
	}
	return h
}

// runs is a service that was started so long ago.
func runs(ago time.Duration) survey.Unit {
	return survey.Unit{Load: "loaded", Active: "active", Sub: "running", Result: "success 0", Ran: true, Began: ago}
}

// stopped is one that somebody has stopped.
func stopped() survey.Unit {
	return survey.Unit{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success 0"}
}

// fails is one that ends again and again.
func fails(restarts int) survey.Unit {
	return survey.Unit{Load: "loaded", Active: "activating", Sub: "auto-restart", Restarts: restarts}
}

// write puts the manifest of a component where it belongs, so long ago.
func (h *Host) write(component string, ago time.Duration) {
	path := manifests + component + ".yaml"
	h.Files[path], h.Changed[path] = "kind: Pod\n", now.Add(-ago)
}

// remove takes it away.
func (h *Host) remove(component string) { delete(h.Files, manifests+component+".yaml") }

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

// configure writes kubeadm's ClusterConfiguration.
func (p *Picture) configure(text string) {
	p.Cluster.Configs["kubeadm-config"] = map[string]string{"ClusterConfiguration": text}
}
