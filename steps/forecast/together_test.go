package forecast_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/forecast"
)

// Workloads whose pods all leave at once are told, each once, unless a budget covers them or nobody but the cluster itself
// needs them.
func TestWhatLeavesTogether(t *testing.T) {
	const together = "out of service until new pods run elsewhere: all of the old ones leave together"
	for _, tt := range []struct {
		name  string
		world func() *cluster
		plan  forecast.Plan
		want  []string
	}{
		{"all pods on one node", func() *cluster {
			c := workers(3)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w1")
			for _, name := range []string{"db-0", "db-1", "db-2"} {
				c.pod("shop/"+name, "w1", owned("StatefulSet", "db"))
			}
			return c
		}, one("w1", "w2"), []string{"note drain.together: w1: 2 workloads are " + together + " [Deployment shop/cart (2 pods); StatefulSet shop/db (3 pods)]"}},
		{"one of them runs, the others do not", func() *cluster {
			c := workers(3)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w1", pending)
			c.pod("shop/cart-c", "w2", finished)
			return c
		}, one("w1"), []string{"note drain.single: w1: 1 workload is out of service until the only pod runs elsewhere [Deployment shop/cart]"}},
		{"nodes that are out of service at the same time", func() *cluster {
			c := workers(4)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w2")
			return c
		}, several(2, "w1", "w2"), []string{"note drain.together: w1: 1 workload is " + together + " [Deployment shop/cart (2 pods)]"}},
		{"nodes that are out of service one after the other", func() *cluster {
			c := workers(4)
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w2")
			return c
		}, one("w1", "w2"), nil},
		{"a pod elsewhere, a budget, a Job, the cluster's own", func() *cluster {
			c := workers(3)
			c.pod("shop/web-a", "w1")
			c.pod("shop/web-b", "w1")
			c.pod("shop/web-c", "w2")
			c.pod("shop/cart-a", "w1")
			c.pod("shop/cart-b", "w1")
			c.budget("shop/cart", "cart", 1, 2, 2)
			c.pod("shop/only-a", "w1")
			c.budget("shop/only", "only", 0, 1, 1)
			c.pod("shop/job-a", "w1", owned("Job", "job"))
			c.pod("shop/job-b", "w1", owned("Job", "job"))
			c.pod("kube-system/coredns-a", "w1")
			c.pod("kube-system/coredns-b", "w1")
			return c
		}, one("w1"), nil},
		{"thirty of them in one finding", func() *cluster {
			c := workers(2)
			for i := range 30 {
				c.pod(fmt.Sprintf("shop/app%02d-a", i), "w1", cpu(1))
				c.pod(fmt.Sprintf("shop/app%02d-b", i), "w1", cpu(1))
			}
			return c
		}, one("w1"), []string{"note drain.together: w1: 30 workloads are " + together + " [Deployment shop/app00 (2 pods); Deployment shop/app01 (2 pods); " +
			"Deployment shop/app02 (2 pods); Deployment shop/app03 (2 pods); Deployment shop/app04 (2 pods); and 25 more]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, told(forecast.Drains(tt.plan, tt.world().World).Findings)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
