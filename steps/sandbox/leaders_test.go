package sandbox

import (
	"encoding/json"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
)

func (c caller) lease(component string) coordinationv1.LeaseSpec {
	c.t.Helper()
	code, b := c.do("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"+component, asJSON, "")
	var l coordinationv1.Lease
	if err := json.Unmarshal([]byte(b), &l); err != nil || code != 200 {
		c.t.Fatal(code, b, err)
	}
	return l.Spec
}

// A leader renews its lease while it runs. After a restart it is an instance like any other: nobody leads until the old
// lease is over.
func TestLeaders(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1})
	for _, component := range elected {
		before := c.lease(component)
		c.eventually(component+" renews its lease", func() bool { return c.lease(component).RenewTime.After(before.RenewTime.Time) })
		c.c.world.RunStaticPod("cp1", component, imageOf(component, "1.28.15"))
		restarted := c.lease(component)
		c.eventually("somebody leads "+component, func() bool { return *c.lease(component).HolderIdentity != *before.HolderIdentity })
		next := c.lease(component)
		if silent := next.AcquireTime.Sub(restarted.RenewTime.Time); silent < leaderLasts || *next.LeaseTransitions != 1 {
			t.Errorf("%s: followed after %s, transition %d", component, silent, *next.LeaseTransitions)
		}
	}
}
