package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// A gate is what a pod asks of a node, whatever else stands there.
type gate struct {
	tolerations []corev1.Toleration
	selector    map[string]string
	affinity    *nodeaffinity.LazyErrorNodeSelector // nil: none
}

func newGate(p *corev1.Pod) *gate {
	g := &gate{tolerations: p.Spec.Tolerations, selector: p.Spec.NodeSelector}
	if required := nodeAffinity(p); required != nil {
		g.affinity = nodeaffinity.NewLazyErrorNodeSelector(required)
	}
	return g
}

func nodeAffinity(p *corev1.Pod) *corev1.NodeSelector {
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

func (g *gate) refuses(r Room) string {
	if r.Unschedulable && !g.tolerates(Taint{Key: corev1.TaintNodeUnschedulable, Effect: string(corev1.TaintEffectNoSchedule)}) {
		return "is cordoned"
	}
	for _, t := range r.Taints {
		if t.keepsAway() && !g.tolerates(t) {
			return "has the taint " + t.String()
		}
	}
	return g.unattracted(r)
}

// unattracted is the part of a gate that labels and the name of a node decide.
func (g *gate) unattracted(r Room) string {
	for _, key := range slices.Sorted(maps.Keys(g.selector)) {
		if value, ok := r.Labels[key]; !ok || value != g.selector[key] {
			return fmt.Sprintf("has not the label %s=%s", key, g.selector[key])
		}
	}
	if g.affinity == nil {
		return ""
	}
	if ok, err := g.affinity.Match(r.node()); !ok || err != nil {
		return "is not among the nodes of its node affinity"
	}
	return ""
}

// keepsAway says whether a taint keeps pods from being placed; PreferNoSchedule only asks for it.
func (t Taint) keepsAway() bool {
	return t.Effect == string(corev1.TaintEffectNoSchedule) || t.Effect == string(corev1.TaintEffectNoExecute)
}

func (g *gate) tolerates(t Taint) bool {
	return slices.ContainsFunc(g.tolerations, func(own corev1.Toleration) bool { return tolerates(own, t) })
}

// tolerates is Toleration.ToleratesTaint of k8s.io/api/core/v1 without its operators that compare numbers, which are
// behind a gate that is off.
func tolerates(own corev1.Toleration, t Taint) bool {
	if own.Effect != "" && string(own.Effect) != t.Effect || own.Key != "" && own.Key != t.Key {
		return false
	}
	switch own.Operator {
	case corev1.TolerationOpExists:
		return true
	case "", corev1.TolerationOpEqual:
		return own.Value == t.Value
	}
	return false
}

// node is as much of a node as node affinity looks at.
func (r Room) node() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: r.Node, Labels: r.Labels}}
}

// peers reads the pod's rules about other pods.
func (g ground) peers(p *corev1.Pod, w *PlacedPod) {
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		w.Apart = g.terms(p, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	if a := p.Spec.Affinity; a != nil && a.PodAffinity != nil {
		w.Together = g.terms(p, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	for _, c := range p.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			w.Spread = append(w.Spread, toSpread(p, c))
		}
	}
}

func (g ground) terms(p *corev1.Pod, terms []corev1.PodAffinityTerm) (all []Peers) {
	for _, t := range terms {
		selector := strict(t.LabelSelector) // matchLabelKeys are in it: the API server merges them when a pod is created
		namespaces := g.covered(p, t)
		all = append(all, Peers{
			Key:      fmt.Sprintf("%s|%s|%s", strings.Join(namespaces, ","), selector, t.TopologyKey),
			Topology: t.TopologyKey,
			Selects: func(other Pod) bool {
				_, found := slices.BinarySearch(namespaces, other.Namespace)
				return found && selector.Matches(labels.Set(other.Labels))
			},
		})
	}
	return all
}

// covered are the namespaces of a term, sorted: those it names and those it selects, or the pod's own.
func (g ground) covered(p *corev1.Pod, t corev1.PodAffinityTerm) []string {
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
		return []string{p.Namespace}
	}
	all := slices.Clone(t.Namespaces)
	selector := strict(t.NamespaceSelector)
	for name, set := range g.namespaces {
		if selector.Matches(labels.Set(set)) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// strict reads a selector of which none selects nothing, and the empty one everything. The API server lets none in that
// cannot be read.
func strict(s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

func toSpread(p *corev1.Pod, c corev1.TopologySpreadConstraint) Spread {
	wanted := c.LabelSelector.DeepCopy()
	for _, key := range c.MatchLabelKeys {
		if value, ok := p.Labels[key]; ok && wanted != nil {
			wanted = metav1.AddLabelToSelector(wanted, key, value)
		}
	}
	selector := strict(wanted)
	s := Spread{MaxSkew: int64(c.MaxSkew), MinPlaces: 1, Counts: func(Room) bool { return true }}
	among := ""
	if c.MinDomains != nil {
		s.MinPlaces = int64(*c.MinDomains)
	}
	s.SkipTaints = c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
	if c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor {
		own := newGate(p)
		s.Counts = func(r Room) bool { return own.unattracted(r) == "" }
		among = labels.Set(p.Spec.NodeSelector).String() + nodeAffinity(p).String()
	}
	s.Peers = Peers{
		Key:      fmt.Sprintf("%s|%s|%s|%s", p.Namespace, selector, c.TopologyKey, among),
		Topology: c.TopologyKey,
		Selects: func(other Pod) bool {
			return other.Namespace == p.Namespace && selector.Matches(labels.Set(other.Labels))
		},
	}
	return s
}
