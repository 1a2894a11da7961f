package knowledge

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// verdict is a Removal in short: "1.27 removed", or "" where nothing is wrong.
func verdict(r Removal, found bool) string {
	if !found {
		return ""
	}
	if r.Source == "" {
		return "a removal without a source"
	}
	return r.In.String() + " " + r.What
}

func TestFlagRemoved(t *testing.T) {
	b := load(t)
	for _, c := range []struct {
		name, component, flag string
		after, upTo           Minor
		want                  string
	}{
		{"the flag of 1.27", "kubelet", "container-runtime", 26, 27, "1.27 removed"},
		{"not its longer sister", "kubelet", "container-runtime-endpoint", 26, 37, ""},
		{"long before", "kubelet", "container-runtime", 27, 28, ""},
		{"not yet", "kubelet", "container-runtime", 25, 26, ""},
		{"of another component", "kube-proxy", "container-runtime", 24, 37, ""},
		{"with dashes and a value", "kubelet", "--pod-infra-container-image=registry.k8s.io/pause:3.9", 34, 35, "1.35 removed"},
		{"with underscores, as cAdvisor wrote it", "kubelet", "--boot_id_file", 36, 37, "1.37 removed"},
		{"one that stays", "kubelet", "housekeeping-interval", 24, 37, ""},
		{"logging, in every component", "kube-scheduler", "logtostderr", 25, 26, "1.26 removed"},
		{"verbosity stays", "kube-scheduler", "v", 24, 37, ""},
		{"eviction timeout", "kube-controller-manager", "pod-eviction-timeout", 26, 27, "1.27 removed"},
		{"cloud provider of the API server", "kube-apiserver", "cloud-provider", 32, 33, "1.33 removed"},
		{"cloud provider of the kubelet stays", "kubelet", "cloud-provider", 24, 37, ""},
		{"experimental flags of etcd", "etcd", "--experimental-initial-corrupt-check=true", 36, 37, "1.37 removed"},
		{"one of them earlier", "etcd", "experimental-enable-v2v3", 33, 37, "1.34 removed"},
		{"the new name", "etcd", "--watch-progress-notify-interval=5s", 33, 37, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, verdict(b.FlagRemoved(c.component, c.flag, c.after, c.upTo))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestValueRefused(t *testing.T) {
	b := load(t)
	for _, c := range []struct {
		name, component, flag, value string
		after, upTo                  Minor
		want                         string
	}{
		{"userspace", "kube-proxy", "proxy-mode", "userspace", 25, 26, "1.26 refused"},
		{"iptables", "kube-proxy", "proxy-mode", "iptables", 24, 37, ""},
		{"in-tree AWS", "kube-controller-manager", "--cloud-provider", "aws", 26, 27, "1.27 refused"},
		{"in-tree Azure", "kubelet", "cloud-provider", "azure", 28, 29, "1.29 refused"},
		{"an unknown cloud", "kubelet", "cloud_provider", "mycloud", 31, 32, "1.32 refused"},
		{"external", "kube-controller-manager", "cloud-provider", "external", 24, 37, ""},
		{"none", "kube-controller-manager", "cloud-provider", "", 24, 37, ""},
		{"run once", "kubelet", "runonce", "true", 31, 32, "1.32 refused"},
		{"not run once", "kubelet", "runonce", "false", 31, 32, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, verdict(b.ValueRefused(c.component, c.flag, c.value, c.after, c.upTo))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPluginRemoved(t *testing.T) {
	b := load(t)
	for _, c := range []struct {
		plugin      string
		after, upTo Minor
		want        string
	}{
		{"PodSecurityPolicy", 24, 25, "1.25 removed"}, {"PodSecurityPolicy", 25, 37, ""}, {"PodSecurity", 24, 37, ""},
		{"SecurityContextDeny", 29, 30, "1.30 removed"}, {"PersistentVolumeLabel", 28, 33, "1.31 removed"}, {"NodeRestriction", 24, 37, ""},
	} {
		if d := cmp.Diff(c.want, verdict(b.PluginRemoved(c.plugin, c.after, c.upTo))); d != "" {
			t.Errorf("%s from %s to %s: %s", c.plugin, c.after, c.upTo, d)
		}
	}
}
