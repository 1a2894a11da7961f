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
	"upgrader.dev/upgrader/steps/survey"
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

// service is what systemd says of a service, if the host has it.
func (h *Host) service(name string) (survey.Unit, bool) {
	u := h.Units[name]
	return u, u.Load == "loaded"
}

// stateOf is how ill a service is; empty if it runs.
func stateOf(s survey.Unit) State {
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
func words(name string, s survey.Unit) string {
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
		s, there := h.service(unit)
		if !there {
			continue
		}
		if stateOf(s) == "" && (h.Runtime.Answers || !h.Runtime.Asked) {
			return nil
		}
		if name == someRuntime || s.Active == "active" {
			name, worst = unit, stateOf(s)
		}
	}
	if worst == "" && (h.Runtime.Answers || !h.Runtime.Asked) {
		return nil
	}
	d := Diagnosis{Host: h.Name, Component: name, State: cmp.Or(worst, Failing), Why: "it does not answer: " + h.Runtime.Says}
	d.Next = "see the whole log there, `journalctl -u " + name + " -e`, mend what it names, then `systemctl restart " + name + "`"
	if name == someRuntime {
		d.Next = "find its service there, `systemctl list-units --type=service`, mend what its log names, then restart it"
	}
	if s, there := h.service(name); there && worst != "" {
		d.Why, d.Log = words(name, s), telling(h.Journals[name], mostLines)
		if worst == Down && strings.HasPrefix(s.Result, "success") {
			d.Next = "run `systemctl start " + name + "` there: it was stopped, and did not fail"
		}
	}
	return []Diagnosis{d}
}

// kubelet is the service, and whether the cluster finds the node Ready.
func (p *Picture) kubelet(h *Host) []Diagnosis {
	s, there := h.service(kubelet)
	if !there && !h.knowsServices() {
		return nil
	}
	if !there {
		return []Diagnosis{{Host: h.Name, Component: kubelet, State: Down, Why: "the host has no kubelet.service",
			Next: "install the package kubelet there; kubelet.service comes with it"}}
	}
	d := Diagnosis{Host: h.Name, Component: kubelet, State: stateOf(s), Why: words(kubelet, s)}
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
	d.Log = telling(h.Journals[kubelet], mostLines)
	p.explain(&d, h, p.kubeletClues(h)...)
	return []Diagnosis{d}
}

func (p *Picture) node(name string) *kube.Node {
	nodes := p.nodes()
	for i := range nodes {
		if nodes[i].Name == name {
			return &nodes[i]
		}
	}
	return nil
}

// kubeletClues are the kubelet's log, and then what it was started with.
func (p *Picture) kubeletClues(h *Host) []clue {
	clues := []clue{{knowledge.KubeletLog, joined(ofItself(h.Journals[kubelet]))}}
	for _, file := range slices.Sorted(maps.Keys(h.Files)) {
		if !strings.HasPrefix(file, "/etc/kubernetes/") {
			clues = append(clues, clue{knowledge.Config, uncommented(h.Files[file])})
		}
	}
	clues = append(clues, clue{knowledge.Host, "stat -fc %T /sys/fs/cgroup: " + h.Cgroup})
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
