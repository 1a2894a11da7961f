package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
)

const from, to = ">=1.27.0 <1.28.0", "1.28.15"

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestSkewOpensAnywhereOnTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		version string // of everything
		change  func(*censustest.Cluster)
		expect  engine.Facts
		waited  time.Duration
		refuses []string
	}{
		"at the start":               {version: "1.27.3"},
		"at the end":                 {version: to},
		"first control plane cut":    {version: "1.27.3", change: func(c *censustest.Cluster) { c.Roll("cp1", to, "") }},
		"first control plane done":   {version: "1.27.3", change: func(c *censustest.Cluster) { c.Roll("cp1", to, "").Store(to) }},
		"its kubelet done":           {version: "1.27.3", change: func(c *censustest.Cluster) { c.Roll("cp1", to, "").Store(to).Node("cp1").KubeletVersion = to }},
		"control planes done":        {version: "1.27.3", change: func(c *censustest.Cluster) { c.Roll("cp1", to, "").Roll("cp2", to, "").Store(to) }},
		"half of the workers done":   {version: to, change: func(c *censustest.Cluster) { c.Node("w1").KubeletVersion = "1.27.3" }},
		"older than the start":       {version: "1.26.9", refuses: []string{"kube-apiserver on cp1 is 1.26.9", "kubernetesVersion in kubeadm-config is 1.26.9, want >=1.27.0 <1.28.0 or 1.28.15", "run the runbook for the minor before"}},
		"newer than the end":         {version: "1.29.1", refuses: []string{"kubelet on w1 is 1.29.1", "nothing is ever downgraded", "choose a newer versions.to"}},
		"a worker left behind":       {version: "1.27.3", change: func(c *censustest.Cluster) { c.Node("w2").KubeletVersion = "1.24.17" }, refuses: []string{"kubelet on w2 is 1.24.17", "upgrade the kubelet on w2 first"}},
		"a worker ahead":             {version: "1.27.3", change: func(c *censustest.Cluster) { c.Node("w1").KubeletVersion = to }, refuses: []string{"kubelet on w1 is 1.28.15", "install the older package of kubelet on w1"}},
		"config not what runs":       {version: "1.27.3", change: func(c *censustest.Cluster) { c.Store("1.26.0") }, refuses: []string{"kubernetesVersion in kubeadm-config is 1.26.0"}},
		"a kubelet of no version":    {version: "1.27.3", change: func(c *censustest.Cluster) { c.Node("w1").KubeletVersion = "" }, refuses: []string{"kubelet on w1 is unknown"}},
		"a kubelet of its own":       {version: "1.27.3", change: func(c *censustest.Cluster) { c.Node("w1").KubeletVersion = "1.27.x-custom" }, refuses: []string{`kubelet on w1 is "1.27.x-custom", which is no version, want a version that can be read`}},
		"a kubelet of a vendor":      {version: "1.27.3", change: func(c *censustest.Cluster) { c.Node("w1").KubeletVersion = "1.27.3-gke.100+dirty" }},
		"API servers two apart":      {version: "1.28.15", change: func(c *censustest.Cluster) { c.Roll("cp2", "1.26.1", "") }, refuses: []string{"kube-apiserver on cp2 is 1.26.1"}},
		"members of etcd two apart":  {version: "1.27.3", change: func(c *censustest.Cluster) { c.Roll("cp2", "1.27.3", "3.3.10-0") }, refuses: []string{"etcd on cp2 is 3.3.10-0", "upgrade the older members of etcd first"}},
		"etcd of no version at all":  {version: "1.27.3", change: func(c *censustest.Cluster) { c.Roll("cp1", "1.27.3", "mine").DNS("mine") }},
		"behind another's dry run":   {version: "1.26.9", expect: promised("1.27.16", "cp1", "cp2")},
		"no mirror pods for long":    {version: "1.27.3", waited: 5 * time.Minute, change: func(c *censustest.Cluster) { c.System = nil }, refuses: []string{"kube-apiserver is unknown"}},
		"a config without a version": {version: "1.27.3", change: func(c *censustest.Cluster) { c.Config = "kind: ClusterConfiguration\n" }, refuses: []string{"kubernetesVersion in kubeadm-config is unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := censustest.New(tt.version, "cp1", "cp2", "w1", "w2")
			if tt.change != nil {
				tt.change(c)
			}
			_, err := (&Skew{cluster: c, From: from, To: to}).Observe(t.Context(), engine.Scene{Expect: tt.expect, Since: begun, Now: begun.Add(tt.waited)})
			if len(tt.refuses) == 0 {
				enginetest.Expect(t, err, "", "")
			}
			for _, words := range tt.refuses {
				enginetest.Expect(t, err, "", words)
			}
		})
	}
}

// A kubelet that replaces a static pod removes its mirror from the API for a moment. A resume that looks just then waits
// instead of judging without that version, or refusing for want of it.
func TestSkewWaitsForWhatIsBeingReplaced(t *testing.T) {
	for _, component := range census.ControlPlane() {
		c := censustest.New("1.27.3", "cp1", "w1")
		c.System = slices.DeleteFunc(c.System, func(p kube.Pod) bool { return p.Name == component+"-cp1" })
		gate := &Skew{cluster: c, From: from, To: to}
		_, err := gate.Observe(t.Context(), engine.Scene{Since: begun, Now: begun.Add(4 * time.Minute)})
		enginetest.Expect(t, err, "the API has no "+component+" of cp1 at the moment", "")
	}
}

// promised is what a dry run of the runbook before would promise.
func promised(version string, controlPlanes ...string) engine.Facts {
	f := engine.Facts{facts.ClusterVersion: version}
	for _, h := range controlPlanes {
		f[facts.ControlPlane(h)] = version
	}
	for _, h := range append(controlPlanes, "w1", "w2") {
		f[facts.Kubelet(h)] = version
	}
	return f
}

func TestSkewListsEveryViolation(t *testing.T) {
	c := censustest.New("1.27.3", "cp1", "w1", "w2")
	c.Node("w1").KubeletVersion, c.Node("w2").KubeletVersion = "1.24.17", "1.28.1"
	_, err := (&Skew{cluster: c, From: from, To: to}).Observe(t.Context(), engine.Scene{})
	for _, words := range []string{"kubelet on w1", "kubelet on w2"} {
		enginetest.Expect(t, err, "", words)
	}
}

func TestSkewValidate(t *testing.T) {
	err := (&Skew{From: "about 1.27", To: "1.28"}).Validate()
	if err == nil || !strings.Contains(err.Error(), "to: ") || !strings.Contains(err.Error(), "from: ") {
		t.Errorf("got %v", err)
	}
	if _, err := (&Skew{To: "1.28"}).Observe(t.Context(), engine.Scene{}); err == nil || errors.As(err, new(*engine.RefusedError)) {
		t.Errorf("a version that cannot be read is a fault, not a closed gate: %v", err)
	}
}
