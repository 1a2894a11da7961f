package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

const (
	hostFitDoc = `Opens when a host has everything that its upgrade needs.
It looks at disks, inodes, swap, clock, certificates, the kubelet, the container runtime, kernel and control groups, dpkg, and
whether the revisions of ` + "`packages`" + ` and the target's images can be had. It refuses with everything that stands in the way,
and changes nothing.`
	controlPlaneFitDoc = `Opens when the control plane is well on every host: nodes, static pods, API servers, the load
balancer, leaders, and etcd with its quota. It refuses with everything that is not, and changes nothing.`
	apiRemovedDoc = `Opens when nobody uses API versions that the target removes.
It asks every API server which deprecated versions were requested since it started, and looks at who wrote the objects of the
cluster in which version. It refuses while a version is in use, and changes nothing.`
	configRemovedDoc = `Opens when no component of a host is started with flags, values, admission plugins or feature gates that the
target does not know. It reads the kubelet's files, the static pods' manifests and kubeadm's ConfigMaps, and changes nothing.`
	configErasedDoc = `Opens when kubeadm would undo no edit of a host.
It compares the manifests of the static pods with what the host's own kubeadm renders, and the kubelet's configuration with the
ConfigMap that it comes from. It refuses with the differences, and changes nothing.`
	nodeDrainableDoc = `Opens when a node can be drained: no pod that the drain would refuse, no budget that allows nothing, and room
elsewhere for what is evicted. Give it the settings of the drain. It changes nothing.`
)

// Kinds returns the gates that make the checks of one area each. Zero eyes suffice for everything but Observe.
func Kinds(e survey.Eyes) []engine.Kind {
	return []engine.Kind{
		{Name: hostFit, Scope: engine.OnHost, Doc: hostFitDoc, New: func() engine.Step { return &hostGate{eyes: e} }},
		{Name: controlPlaneFit, Scope: engine.OnCluster, Doc: controlPlaneFitDoc, New: func() engine.Step { return &clusterGate{eyes: e, area: controlPlaneFit} }},
		{Name: apiRemoved, Scope: engine.OnCluster, Doc: apiRemovedDoc, New: func() engine.Step { return &clusterGate{eyes: e, area: apiRemoved} }},
		{Name: configRemoved, Scope: engine.OnHost, Doc: configRemovedDoc, New: func() engine.Step { return &configGate{eyes: e, area: configRemoved} }},
		{Name: configErased, Scope: engine.OnHost, Doc: configErasedDoc, New: func() engine.Step { return &configGate{eyes: e, area: configErased} }},
		{Name: nodeDrainable, Scope: engine.OnHost, Doc: nodeDrainableDoc, New: func() engine.Step { return &drainGate{eyes: e} }},
	}
}

// hostGate is host.fit.
type hostGate struct {
	eyes     survey.Eyes
	Version  string            `yaml:"version" default:"${{ versions.to }}" doc:"version that the host is upgraded to"`
	Packages map[string]string `yaml:"packages" doc:"exact revision of each package that will be installed"`
}

// clusterGate is control-plane.fit and api.removed.
type clusterGate struct {
	eyes    survey.Eyes
	area    string
	Version string `yaml:"version" default:"${{ versions.to }}" doc:"version that the cluster is upgraded to"`
}

// configGate is config.removed and config.erased.
type configGate struct {
	eyes    survey.Eyes
	area    string
	Version string `yaml:"version" default:"${{ versions.to }}" doc:"version that the cluster is upgraded to"`
	Patches string `yaml:"patches" doc:"directory of patches that kubeadm.upgrade is given"`
}

// drainGate is node.drainable.
type drainGate struct {
	eyes              survey.Eyes
	eviction.Settings `yaml:",inline"`
}

var _, _, _, _ engine.Gate = (*hostGate)(nil), (*clusterGate)(nil), (*configGate)(nil), (*drainGate)(nil)

// Validate checks the version.
func (g *hostGate) Validate() error    { return validVersion(g.Version) }
func (g *clusterGate) Validate() error { return validVersion(g.Version) }
func (g *configGate) Validate() error  { return validVersion(g.Version) }

func validVersion(text string) error {
	if text == "" {
		return nil
	}
	if _, err := skew.Parse(text); err != nil {
		return fmt.Errorf("version: %w", err)
	}
	return nil
}

// Gate marks the type: it only ever refuses or allows.
func (*hostGate) Gate()    {}
func (*clusterGate) Gate() {}
func (*configGate) Gate()  {}
func (*drainGate) Gate()   {}

// Observe looks at the host.
func (g *hostGate) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if underway(s) {
		return nil, nil
	}
	h := HostGoal{Name: s.Target.Name, Revisions: g.Packages, ControlPlane: isControlPlane(s), Repository: true}
	return nil, open(ctx, s, g.eyes, glance, g.Version, Goal{Hosts: []HostGoal{h}}, hostFit)
}

// Observe looks at the cluster and the hosts of its control plane.
func (g *clusterGate) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if len(s.InWork) > 0 { // cluster.healthy and etcd.healthy know how to wait for what this run is in the middle of
		return nil, nil
	}
	hosts, err := controlPlanes(ctx, g.eyes)
	if err != nil {
		return nil, err
	}
	return nil, open(ctx, s, g.eyes, Look, g.Version, Goal{Hosts: hosts}, g.area)
}

// Observe looks at the host's configuration.
func (g *configGate) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if underway(s) {
		return nil, nil
	}
	h := HostGoal{Name: s.Target.Name, ControlPlane: isControlPlane(s), Kubeadm: true, Patches: g.Patches}
	return nil, open(ctx, s, g.eyes, glance, g.Version, Goal{Hosts: []HostGoal{h}}, g.area)
}

// Observe foretells the drain of the node.
func (g *drainGate) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if underway(s) {
		return nil, nil
	}
	rules, err := g.Rules()
	if err != nil {
		return nil, err
	}
	drain := forecast.Group{Nodes: []string{s.Target.Name}, AtOnce: 1, Rules: rules}
	return nil, open(ctx, s, g.eyes, Look, "", Goal{Drains: []forecast.Group{drain}}, nodeDrainable)
}

func isControlPlane(s engine.Scene) bool { return s.Target.In(engine.ControlPlane) }

// underway tells that this run is in the middle of changing the host: a resume may be what makes it well again, and is
// never locked out.
func underway(s engine.Scene) bool { return slices.Contains(s.InWork, s.Target.Name) }

// A view is how a gate looks: Look, or glance.
type view func(context.Context, survey.Eyes, Goal) (*View, error)

// open looks for a goal and refuses with what blocks it.
func open(ctx context.Context, s engine.Scene, eyes survey.Eyes, look view, version string, goal Goal, area string) error {
	if version != "" {
		to, err := skew.Parse(version)
		if err != nil {
			return fmt.Errorf("version: %w", err)
		}
		goal.To = to
	}
	goal.Waivers = s.Waivers
	v, err := look(ctx, eyes, goal)
	if err != nil {
		return err
	}
	v.Now = s.Now
	return refusal(Judge(v, area))
}

// refusal closes a gate with everything that blocks, or opens it.
func refusal(all []finding.Finding) error {
	var words, remedies []string
	for _, f := range all {
		if f.Blocks() {
			words = append(words, fmt.Sprintf("%s: %s (%s)", f.Where, f.What, f.Check))
			remedies = append(remedies, f.Remedy)
		}
	}
	switch len(words) {
	case 0:
		return nil
	case 1:
		return engine.Refuse(words[0], remedies[0])
	}
	return engine.Refuse(strings.Join(words, "; "), "`upgrader preflight` tells what to do about each; then resume, or start again")
}
