package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
)

// The services of a host, and what stands for a container runtime that is neither of the two that are known.
const (
	kubelet     = "kubelet"
	containerd  = "containerd"
	crio        = "crio"
	someRuntime = "container runtime"
)

// soon is how long a service or a component has to run before it counts as running: one that ends at once is seen at
// work now and then.
const soon = 20 * time.Second

// state is how ill a service is; empty if it runs.
func (s *Service) state() State {
	switch {
	case s.Active == "active" && s.Restarts > 0 && s.Ran && s.Began < soon:
		return Restarting
	case s.Active == "active" || s.Active == "reloading":
		return ""
	case s.Active == "activating" && (s.Restarts > 0 || s.Sub == "auto-restart"):
		return Restarting
	case s.Active == "activating":
		return "" // it is being started
	}
	return Down
}

// words say what systemd says of a service.
func (s *Service) words(name string) string {
	text := fmt.Sprintf("%s.service is %s (%s)", name, cmp.Or(s.Active, "unknown"), cmp.Or(s.Sub, "unknown"))
	if s.Restarts > 0 {
		text += fmt.Sprintf(", restarts: %d", s.Restarts)
	}
	if s.Result != "" && !strings.HasPrefix(s.Result, "success") {
		text += ", last result " + s.Result
	}
	return text
}

// runtime is the container runtime: a service that runs, and answers the kubelet's questions.
func (p *Picture) runtime(h *Host) []Diagnosis {
	name, worst := someRuntime, State("")
	for _, unit := range []string{containerd, crio} {
		s := h.Services[unit]
		if s == nil {
			continue
		}
		if s.state() == "" && (h.Runtime.Answers || !h.Runtime.Asked) {
			return nil
		}
		if name == someRuntime || s.Active == "active" {
			name, worst = unit, s.state()
		}
	}
	if worst == "" && (h.Runtime.Answers || !h.Runtime.Asked) {
		return nil
	}
	d := Diagnosis{Host: h.Name, Component: name, State: cmp.Or(worst, Failing), Why: "it does not answer: " + h.Runtime.Says}
	d.Next = "see the whole log there, `journalctl -u " + name + " -e`, mend what it names, then `systemctl restart " + name + "`"
	if s := h.Services[name]; s != nil && worst != "" {
		d.Why, d.Log = s.words(name), telling(s.Log, mostLines)
		if worst == Down && strings.HasPrefix(s.Result, "success") {
			d.Next = "run `systemctl start " + name + "` there: it was stopped, and did not fail"
		}
	}
	return []Diagnosis{d}
}

// kubelet is the service, and whether the cluster finds the node Ready.
func (p *Picture) kubelet(h *Host) []Diagnosis {
	s := h.Services[kubelet]
	if s == nil && !h.knowsServices() {
		return nil
	}
	if s == nil {
		return []Diagnosis{{Host: h.Name, Component: kubelet, State: Down, Why: "the host has no kubelet.service",
			Next: "install the package kubelet there; kubelet.service comes with it"}}
	}
	d := Diagnosis{Host: h.Name, Component: kubelet, State: s.state(), Why: s.words(kubelet)}
	switch node := p.node(h.Name); {
	case d.State == Down && strings.HasPrefix(s.Result, "success"):
		d.Next = "run `systemctl start kubelet` there: it was stopped, and did not fail"
	case d.State != "":
		d.Next = "see the whole log there, `journalctl -u kubelet -e`, mend what it names, then `systemctl restart kubelet`"
	case node != nil && !node.Ready:
		d.State, d.Why = Failing, "it runs, and its node is not Ready: "+node.ReadyReason
		d.Next = "see `kubectl describe node " + h.Name + "`, and there `journalctl -u kubelet -e`"
	case node != nil && node.Pressure != "":
		return []Diagnosis{{Host: h.Name, Component: kubelet, State: Unwell, Why: "it evicts pods for want of room: " + node.Pressure, Next: "make room there"}}
	default:
		return nil
	}
	d.Log = telling(s.Log, mostLines)
	p.explain(&d, h, p.kubeletClues(h, s)...)
	return []Diagnosis{d}
}

func (p *Picture) node(name string) *kube.Node {
	for i := range p.API.Nodes {
		if p.API.Nodes[i].Name == name {
			return &p.API.Nodes[i]
		}
	}
	return nil
}

// kubeletClues are the kubelet's log, and then what it was started with.
func (p *Picture) kubeletClues(h *Host, s *Service) []clue {
	clues := []clue{{knowledge.KubeletLog, joined(ofItself(s.Log))}}
	for _, file := range slices.Sorted(maps.Keys(h.Files)) {
		if !strings.HasPrefix(file, "/etc/kubernetes/") {
			clues = append(clues, clue{knowledge.Config, uncommented(h.Files[file])})
		}
	}
	clues = append(clues, clue{knowledge.Host, "stat -fc %T /sys/fs/cgroup: " + h.CgroupType})
	return append(clues, p.annotations(h.Name)...)
}

// annotations are those of a node, as "key: value".
func (p *Picture) annotations(name string) []clue {
	n := p.node(name)
	if n == nil {
		return nil
	}
	var all []clue
	for _, key := range slices.Sorted(maps.Keys(n.Annotations)) {
		all = append(all, clue{knowledge.FromAPI, key + ": " + n.Annotations[key]})
	}
	return all
}
