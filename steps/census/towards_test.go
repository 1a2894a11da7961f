package census_test

import (
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/skew"
)

// What the target's kubeadm brings is held against what runs, too.
func TestTowards(t *testing.T) {
	for name, tt := range map[string]struct {
		running, etcd, dns, target string
		config                     string // more of kubeadm's configuration
		want                       []string
	}{
		"the next minor":                   {running: "1.27.16", etcd: "3.5.12-0", dns: "v1.10.1", target: "1.28.15"},
		"etcd two minors behind":           {running: "1.27.16", etcd: "3.3.10-0", dns: "v1.10.1", target: "1.28.15", want: []string{"etcd-too-far"}},
		"etcd that loses members in 3.6":   {running: "1.33.13", etcd: "3.5.12-0", dns: "v1.12.0", target: "1.34.10", want: []string{"etcd-too-old"}},
		"etcd that may":                    {running: "1.33.13", etcd: "3.5.24-0", dns: "v1.12.0", target: "1.34.10", want: []string{"etcd-too-old"}},
		"CoreDNS that nobody knows":        {running: "1.27.16", etcd: "3.5.12-0", dns: "v1.99.0", target: "1.28.15", want: []string{"coredns"}},
		"pinned by digest":                 {running: "1.27.16", etcd: "stable", dns: "stable", target: "1.28.15"},
		"CoreDNS that the operator pinned": {running: "1.27.16", etcd: "3.5.12-0", dns: "v1.99.0", target: "1.28.15", config: "dns:\n  imageTag: v1.99.0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := censustest.New(tt.running, "cp1", "w1").Roll("cp1", tt.running, tt.etcd).DNS(tt.dns)
			cluster.Config = tt.config + cluster.Config
			c, err := census.Take(t.Context(), cluster)
			if err != nil {
				t.Fatal(err)
			}
			o := c.Observed()
			if o.Target, err = skew.Parse(tt.target); err != nil {
				t.Fatal(err)
			}
			if err := c.Towards(&o); err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, v := range skew.Check(o) {
				rules = append(rules, v.Rule)
			}
			if got := strings.Join(rules, " "); (got == "") != (len(tt.want) == 0) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			for _, rule := range tt.want {
				if !strings.Contains(strings.Join(rules, " "), rule) {
					t.Errorf("found %q, want %s", rules, rule)
				}
			}
		})
	}
}
