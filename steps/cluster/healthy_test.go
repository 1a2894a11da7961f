package cluster

import (
	"errors"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/kube"
)

func TestHealthyRefusesNodesAtOnceAndWaitsForPods(t *testing.T) {
	coredns := func(name string, ready bool) kube.Pod {
		return kube.Pod{Namespace: "kube-system", Name: name, Node: "w1", OwnerKind: "ReplicaSet", Owner: "coredns-5d78", Phase: "Running", Ready: ready}
	}
	for name, tt := range map[string]struct {
		change  func(*censustest.Cluster)
		inWork  []string
		looking time.Duration // since the step started
		waits   string
		refuses string
	}{
		"well":                       {change: func(*censustest.Cluster) {}},
		"cordoned by hand":           {change: func(c *censustest.Cluster) { c.Node("w1").Unschedulable = true }},
		"node down":                  {change: func(c *censustest.Cluster) { node(c, "w1", "KubeletNotReady: no CNI", "") }, refuses: "w1 is NotReady (KubeletNotReady: no CNI)"},
		"node down, of another run":  {change: func(c *censustest.Cluster) { node(c, "w1", "x", "r10/workers/drain") }, refuses: "w1 is NotReady"},
		"node down, in work":         {change: func(c *censustest.Cluster) { node(c, "w1", "x", "r1/workers/drain") }},
		"node down, half upgraded":   {change: func(c *censustest.Cluster) { node(c, "w1", "x", "") }, inWork: []string{"w1"}},
		"control plane broken by us": {change: func(c *censustest.Cluster) { c.Pod("kube-apiserver-cp1").Ready = false }, inWork: []string{"cp1"}},
		"control plane, unlabelled":  {change: func(c *censustest.Cluster) { c.Node("cp2").ControlPlane, c.Pod("etcd-cp2").Phase = false, "Pending" }, waits: "etcd-cp2 is Pending"},
		"two nodes down":             {change: func(c *censustest.Cluster) { node(c, "w1", "x", ""); node(c, "cp2", "y", "") }, refuses: "cp2 is NotReady (y), and cordoned; w1 is NotReady (x)"},
		"static pod restarting":      {change: func(c *censustest.Cluster) { c.Pod("etcd-cp1").Ready = false }, waits: "etcd-cp1 is Running but not Ready"},
		"static pod broken":          {change: func(c *censustest.Cluster) { c.Pod("etcd-cp1").Phase = "Pending" }, looking: 5 * time.Minute, refuses: "etcd-cp1 is Pending"},
		"static pod gone":            {change: func(c *censustest.Cluster) { remove(c, "kube-scheduler-cp2") }, waits: "cp2 has no kube-scheduler"},
		"external etcd":              {change: func(c *censustest.Cluster) { remove(c, "etcd-cp1"); remove(c, "etcd-cp2") }},
		"one of two CoreDNS down":    {change: func(c *censustest.Cluster) { c.System = append(c.System, coredns("a", true), coredns("b", false)) }},
		"all of CoreDNS down":        {change: func(c *censustest.Cluster) { c.System = append(c.System, coredns("a", false), coredns("b", false)) }, waits: "ReplicaSet coredns-5d78 has no Ready pod (of 2)"},
		"kube-proxy down everywhere": {change: func(c *censustest.Cluster) { proxies(c) }, looking: time.Hour, refuses: "DaemonSet kube-proxy has no Ready pod"},
		"CoreDNS down where we work": {change: func(c *censustest.Cluster) {
			node(c, "w1", "x", "r1/workers/drain")
			c.System = append(c.System, coredns("a", false))
		}},
		"the old CoreDNS on its way out": {change: func(c *censustest.Cluster) {
			c.System = append(c.System, coredns("a", false))
			c.Pod("a").Terminating = true
		}},
		"a finished job": {change: func(c *censustest.Cluster) {
			c.System = append(c.System, kube.Pod{Name: "j", OwnerKind: "Job", Owner: "j", Phase: "Failed", Finished: true})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := censustest.New("1.27.3", "cp1", "cp2", "w1")
			tt.change(c)
			now := time.Now()
			changes, err := enginetest.Made(t, enginetest.Kind(t, Kinds(c), "cluster.healthy"), "").Observe(t.Context(), engine.Scene{Run: "r1", Now: now, Since: now.Add(-tt.looking), InWork: tt.inWork})
			if len(changes) > 0 {
				t.Error("a gate changes nothing")
			}
			enginetest.Expect(t, err, tt.waits, tt.refuses)
		})
	}
}

func node(c *censustest.Cluster, name, reason, owner string) {
	n := c.Node(name)
	n.Ready, n.ReadyReason = false, reason
	if name == "cp2" || owner != "" {
		n.Unschedulable = true
	}
	n.Annotations = map[string]string{kube.CordonedBy: owner}
}

func remove(c *censustest.Cluster, name string) {
	*c.Pod(name) = kube.Pod{Name: "other", OwnerKind: ""}
}

func proxies(c *censustest.Cluster) {
	for i := range c.System {
		if c.System[i].Owner == "kube-proxy" {
			c.System[i].Ready = false
		}
	}
}

func TestGatesPassTransientFailuresOn(t *testing.T) {
	c := &censustest.Cluster{Err: engine.Transient(errors.New("503"))}
	for _, step := range []engine.Step{&Healthy{cluster: c}, &Skew{cluster: c, To: "1.28.15"}} {
		_, err := step.Observe(t.Context(), engine.Scene{})
		if _, ok := errors.AsType[*engine.TransientError](err); !ok {
			t.Errorf("%T: %v", step, err)
		}
	}
}

func TestKindsNeedNoCluster(t *testing.T) {
	catalog, err := engine.NewCatalog(Kinds(nil)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range catalog.Kinds() {
		step, err := enginetest.Make(k, "")
		if err != nil {
			t.Errorf("%s: its defaults are not valid: %v", k.Name, err)
		}
		if _, gate := step.(engine.Gate); !gate {
			t.Errorf("%s is no gate", k.Name)
		}
	}
}
