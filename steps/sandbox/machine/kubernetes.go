package machine

import (
	"cmp"
	"fmt"
	"path"
	"strings"
)

const (
	manifestDir = "/etc/kubernetes/manifests"
	registry    = "registry.k8s.io"
)

// components are the static pods of a control plane, in the order in which kubeadm upgrades them.
var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// etcdTags are the etcd that the newest patch of each minor brings (SupportedEtcdVersion in kubeadm's constants.go).
var etcdTags = map[int]string{
	24: "3.5.6-0", 25: "3.5.9-0", 26: "3.5.10-0", 27: "3.5.12-0", 28: "3.5.15-0", 29: "3.5.16-0", 30: "3.5.15-0", 31: "3.5.24-0",
	32: "3.5.24-0", 33: "3.5.24-0", 34: "3.6.5-0", 35: "3.6.6-0", 36: "3.6.8-0", 37: "3.7.0-0",
}

// coreDNSTags and pauseTags likewise.
var (
	coreDNSTags = map[int]string{24: "v1.8.6", 25: "v1.9.3", 26: "v1.9.3", 27: "v1.10.1", 28: "v1.10.1", 29: "v1.11.1", 30: "v1.11.3", 31: "v1.11.3", 32: "v1.11.3", 33: "v1.12.0", 34: "v1.12.1", 35: "v1.13.1", 36: "v1.14.2", 37: "v1.14.6"}
	pauseTags   = map[int]string{24: "3.7", 25: "3.8", 26: "3.9", 27: "3.9", 28: "3.9", 29: "3.9", 30: "3.9", 31: "3.10", 32: "3.10", 33: "3.10", 34: "3.10.1", 35: "3.10.1", 36: "3.10.2", 37: "3.10.2"}
)

// A release is a version of Kubernetes, taken apart.
type release struct{ major, minor, patch int }

func parseRelease(s string) (release, bool) {
	var r release
	n, err := fmt.Sscanf(strings.TrimPrefix(s, "v"), "%d.%d.%d", &r.major, &r.minor, &r.patch)
	return r, err == nil && n == 3
}

func (r release) String() string { return fmt.Sprintf("v%d.%d.%d", r.major, r.minor, r.patch) }

func (r release) less(o release) bool {
	return r.minor < o.minor || r.minor == o.minor && r.patch < o.patch
}

// Image is the image of a component of Kubernetes, or of etcd, coredns and pause, at a version of Kubernetes, as kubeadm of
// that version names it.
func Image(component, version string) string {
	r, _ := parseRelease(version)
	switch component {
	case "etcd":
		return registry + "/etcd:" + cmp.Or(etcdTags[r.minor], "3.5.15-0")
	case "coredns":
		return registry + "/coredns/coredns:" + cmp.Or(coreDNSTags[r.minor], "v1.10.1")
	case "pause":
		return registry + "/pause:" + cmp.Or(pauseTags[r.minor], "3.9")
	}
	return registry + "/" + component + ":v" + strings.TrimPrefix(version, "v")
}

func hostOf(url string) string {
	host := strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	host, _, _ = strings.Cut(host, ":")
	return host
}

// manifestImage is the image that a manifest on this host names, "" without one.
func (m *Machine) manifestImage(component string) string {
	data, err := m.tree.read("root", path.Join(manifestDir, component+".yaml"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if image, ok := strings.CutPrefix(strings.TrimSpace(line), "image: "); ok {
			return strings.TrimSpace(image)
		}
	}
	return ""
}

// noticeManifests lets the kubelet, if one runs, see that files were changed.
func (m *Machine) noticeManifests(names ...string) {
	for _, name := range names {
		if path.Dir(path.Clean(name)) == manifestDir {
			m.runManifests()
			return
		}
	}
}

// runManifests is the kubelet comparing the manifests with what runs.
func (m *Machine) runManifests() {
	m.mu.Lock()
	runs := m.kubelet != ""
	m.mu.Unlock()
	if !runs {
		return
	}
	for _, c := range components {
		want := m.manifestImage(c)
		if have, _ := m.world.StaticPod(m.cfg.Name, c); want != "" && want != have {
			m.world.RunStaticPod(m.cfg.Name, c, want)
		}
	}
}

// restartPods starts every static pod again, as a boot does.
func (m *Machine) restartPods() {
	for _, c := range components {
		if image := m.manifestImage(c); image != "" {
			m.world.RunStaticPod(m.cfg.Name, c, image)
		}
	}
}

func kubernetesCommands() map[string]command {
	return map[string]command{"kubeadm": kubeadm, "kubelet": kubelet, "kubectl": kubectl, "crictl": crictl, "curl": curl}
}

func kubelet(c *call) int {
	if len(c.args) == 2 && c.args[1] == "--version" {
		c.printf("Kubernetes v%s\n", c.m.installed("kubelet"))
		return 0
	}
	return c.unknown(strings.Join(c.args, " "))
}
