package corefile_test

import (
	"slices"
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/corefile"
)

// asKubeadmWritesIt is kubeadm's own Corefile (cmd/kubeadm/app/phases/addons/dns, manifests.go).
const asKubeadmWritesIt = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`

func TestTroubles(t *testing.T) {
	for name, tt := range map[string]struct {
		text, from, to string
		want           string // part of the one trouble; empty: none
	}{
		"kubeadm's own":                   {asKubeadmWritesIt, "v1.10.1", "v1.11.1", ""},
		"kubeadm's own, nothing moves":    {asKubeadmWritesIt, "v1.10.1", "v1.10.1", ""},
		"a plugin of somebody":            {strings.Replace(asKubeadmWritesIt, "    loop\n", "    loop\n    k8s_gateway example.org\n", 1), "v1.10.1", "v1.11.1", "plugin k8s_gateway"},
		"a plugin, nothing moves":         {strings.Replace(asKubeadmWritesIt, "    loop\n", "    k8s_gateway example.org\n", 1), "v1.10.1", "v1.10.1", "plugin k8s_gateway"},
		"an option that it does not know": {strings.Replace(asKubeadmWritesIt, "ttl 30", "ttl 30\n       shiny", 1), "v1.10.1", "v1.11.1", "option shiny of the plugin kubernetes"},
		"a version that nobody released":  {asKubeadmWritesIt, "v1.99.0", "v1.99.1", ""},
		"down":                            {asKubeadmWritesIt, "v1.11.1", "v1.10.1", "cannot migrate up"},
	} {
		t.Run(name, func(t *testing.T) {
			got := corefile.Troubles(tt.text, tt.from, tt.to)
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What kubeadm of 1.25 to 1.37 brings has to be known, or dnsMigration would refuse every cluster.
func TestKnowsWhatKubeadmBrings(t *testing.T) {
	for _, version := range []string{"1.9.3", "1.10.1", "1.11.1", "1.11.3", "1.12.0", "1.12.1", "1.13.1", "1.14.2", "1.14.6"} {
		if !slices.Contains(corefile.Known(), version) {
			t.Errorf("CoreDNS %s is not known", version)
		}
	}
}
