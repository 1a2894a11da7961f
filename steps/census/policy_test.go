package census_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
)

const old, now = "1.27.3", "1.28.15"

// half is a cluster whose first of two control planes is done.
func half() *censustest.Cluster { return three().Roll("cp1", now, "").Store(now) }

func three() *censustest.Cluster { return censustest.New(old, "cp1", "cp2", "w1") }

func TestForbiddenIsOnlyWhatTheMoveItselfWouldBreak(t *testing.T) {
	done := func() *censustest.Cluster { return half().Roll("cp2", now, "") }
	lagging := func(kubelet string) *censustest.Cluster {
		c := done()
		c.Node("w1").KubeletVersion = kubelet
		return c
	}
	ahead := func(minor string) *censustest.Cluster { // the kubelet of another host breaks the policy already
		c := three()
		c.Node("w1").KubeletVersion = minor
		return c
	}
	far := censustest.New("1.31.4", "cp1", "cp2", "w1").Roll("cp1", "1.32.1", "")
	for name, tt := range map[string]struct {
		cluster *censustest.Cluster
		host    string
		kubelet string
		kubeadm string
		expect  engine.Facts
		refuses string
	}{
		"a kubelet beside its own new API server":       {cluster: half(), host: "cp1", kubelet: now},
		"the same from 1.31 on, which is only told":     {cluster: far, host: "cp1", kubelet: "1.32.1"},
		"a kubelet before its own API server":           {cluster: three(), host: "cp1", kubelet: now, refuses: "kubelet on cp1 is 1.28.15, want 1.27 or older: the oldest API server (cp1) is 1.27.3 (kubelet-too-new): upgrade the control plane first"},
		"a kubelet before the API server of cp2":        {cluster: half(), host: "cp2", kubelet: now, refuses: "the oldest API server (cp2) is 1.27.3"},
		"a worker before the last API server":           {cluster: half(), host: "w1", kubelet: now, refuses: "with kubelet 1.28.15 on w1 the version skew policy would be broken"},
		"a worker after the last API server":            {cluster: done(), host: "w1", kubelet: now},
		"a patch of the same minor":                     {cluster: three(), host: "w1", kubelet: "1.27.16"},
		"a kubelet that runs already, however bad":      {cluster: ahead("1.29.0"), host: "w1", kubelet: "1.29.0"},
		"a kubelet too new that gets newer":             {cluster: ahead("1.28.1"), host: "w1", kubelet: "1.28.2", refuses: "kubelet-too-new"},
		"a kubelet too new that goes back":              {cluster: ahead("1.28.1"), host: "w1", kubelet: "1.27.16"},
		"a kubelet too old that catches up":             {cluster: lagging("1.24.17"), host: "w1", kubelet: "1.25.16"},
		"a kubelet that goes back too far":              {cluster: done(), host: "w1", kubelet: "1.24.17", refuses: "kubelet-too-old"},
		"another host is in the wrong":                  {cluster: ahead("1.29.0"), host: "cp1", kubelet: "1.27.16"},
		"a host that is no node":                        {cluster: three(), host: "mirror", kubelet: now, kubeadm: "1.30.1"},
		"a kubeadm of the next minor":                   {cluster: three(), host: "cp1", kubeadm: now},
		"a kubeadm that skips a minor":                  {cluster: three(), host: "cp1", kubeadm: "1.29.1", refuses: "kubeadm on cp1 is 1.29.1, want 1.28 or older: the oldest API server (cp1) is 1.27.3"},
		"a kubeadm two ahead of the API server to come": {cluster: half(), host: "cp1", kubeadm: "1.29.1", refuses: "the oldest API server (cp2) is 1.27.3"},
		"kubeadm fine and kubelet not":                  {cluster: three(), host: "w1", kubeadm: now, kubelet: now, refuses: "with kubeadm 1.28.15 and kubelet 1.28.15 on w1"},
		"dry run, behind the promised control plane":    {cluster: three(), host: "w1", kubelet: now, expect: promised("cp1", "cp2")},
		"dry run, one control plane promised":           {cluster: three(), host: "w1", kubelet: now, expect: promised("cp1"), refuses: "kubelet-too-new"},
		"dry run, the kubelet of that one":              {cluster: three(), host: "cp1", kubelet: now, expect: promised("cp1")},
		"kube-proxy left far behind":                    {cluster: skipping(), host: "w1", kubelet: "1.31.1", refuses: "kube-proxy on w1 is 1.27.3, want within 3 minor versions of the kubelet 1.31.1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := census.Move{Host: tt.host}
			if tt.kubelet != "" {
				m.Kubelet = v(t, tt.kubelet)
			}
			if tt.kubeadm != "" {
				m.Kubeadm = v(t, tt.kubeadm)
			}
			err := census.Forbidden(t.Context(), tt.cluster, engine.Scene{Expect: tt.expect}, m)
			enginetest.Expect(t, err, "", tt.refuses)
		})
	}
}

func promised(controlPlanes ...string) engine.Facts {
	f := engine.Facts{facts.ClusterVersion: now}
	for _, h := range controlPlanes {
		f[facts.ControlPlane(h)] = now
	}
	return f
}

// skipping is a cluster whose kube-proxy was forgotten for four minors.
func skipping() *censustest.Cluster {
	c := censustest.New("1.31.1", "cp1", "w1")
	c.Node("w1").KubeletVersion = "1.30.1"
	c.Pod("kube-proxy-w1x").Images = []string{"registry.k8s.io/kube-proxy:v1.27.3"}
	return c
}

// An API server whose mirror is away for a moment might be the oldest one. One that stays away is not waited for: then
// nothing can be held against it.
func TestForbiddenWaitsForAnAPIServerThatIsReplaced(t *testing.T) {
	c := half()
	c.System = slices.DeleteFunc(c.System, func(p kube.Pod) bool { return p.Name == "kube-apiserver-cp2" })
	m := census.Move{Host: "w1", Kubelet: v(t, now)}
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err := census.Forbidden(t.Context(), c, engine.Scene{Since: begun, Now: begun.Add(4 * time.Minute)}, m)
	enginetest.Expect(t, err, "the API has no kube-apiserver of cp2 at the moment", "")
	err = census.Forbidden(t.Context(), c, engine.Scene{Since: begun, Now: begun.Add(5 * time.Minute)}, m)
	enginetest.Expect(t, err, "", "")

	c = half() // a scheduler says nothing about a kubelet
	c.System = slices.DeleteFunc(c.System, func(p kube.Pod) bool { return p.Name == "kube-scheduler-cp2" })
	err = census.Forbidden(t.Context(), c, engine.Scene{Since: begun, Now: begun}, census.Move{Host: "cp1", Kubelet: v(t, now)})
	enginetest.Expect(t, err, "", "")
}

// Without any API server in sight nothing is known, and what nobody knows is no reason to stop what may mend it.
func TestForbiddenJudgesNothingWithoutAnAPIServer(t *testing.T) {
	c := three()
	c.System = nil
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err := census.Forbidden(t.Context(), c, engine.Scene{Since: begun, Now: begun.Add(time.Hour)}, census.Move{Host: "w1", Kubelet: v(t, now)})
	enginetest.Expect(t, err, "", "")
}

func TestForbiddenKeepsTheKindOfAFailure(t *testing.T) {
	err := census.Forbidden(t.Context(), &censustest.Cluster{Err: engine.Transient(errors.New("503"))}, engine.Scene{}, census.Move{Host: "w1", Kubelet: v(t, now)})
	if _, ok := errors.AsType[*engine.TransientError](err); !ok {
		t.Errorf("an API that is away must stay transient: %v", err)
	}
}

// kubeadm's configuration is none of its business: a host without kubeadm can be judged too.
func TestForbiddenAsksForNodesAndPodsOnly(t *testing.T) {
	c := three()
	c.Config = ""
	if err := census.Forbidden(t.Context(), c, engine.Scene{}, census.Move{Host: "w1", Kubelet: v(t, "1.27.16")}); err != nil || c.Asked != 2 {
		t.Errorf("%v after %d questions", err, c.Asked)
	}
}
