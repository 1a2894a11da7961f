package machine

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
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

// Image is the image of a control plane's component at a version of Kubernetes, as kubeadm of that version names it.
func Image(component, version string) string {
	r, ok := parseRelease(version)
	if component == "etcd" && ok {
		return registry + "/etcd:" + etcdTags[r.minor]
	}
	return registry + "/" + component + ":v" + strings.TrimPrefix(version, "v")
}

// manifest is the text of a static pod's manifest.
func (m *Machine) manifest(component, image string) string {
	client, peer := "https://10.20.0.11:2379", "https://10.20.0.11:2380"
	for _, e := range m.world.EtcdMembers() {
		if e.Name == m.cfg.Name {
			client, peer = e.ClientURL, e.PeerURL
		}
	}
	pki := "/etc/kubernetes/pki/"
	command := map[string][]string{
		"etcd": {
			"advertise-client-urls=" + client, "cert-file=" + pki + "etcd/server.crt", "client-cert-auth=true", "data-dir=/var/lib/etcd",
			"initial-advertise-peer-urls=" + peer, "key-file=" + pki + "etcd/server.key", "listen-client-urls=https://127.0.0.1:2379," + client,
			"listen-metrics-urls=http://127.0.0.1:2381", "name=" + m.cfg.Name, "peer-trusted-ca-file=" + pki + "etcd/ca.crt", "trusted-ca-file=" + pki + "etcd/ca.crt",
		},
		"kube-apiserver": {
			"advertise-address=" + hostOf(client), "authorization-mode=Node,RBAC", "client-ca-file=" + pki + "ca.crt",
			"etcd-cafile=" + pki + "etcd/ca.crt", "etcd-certfile=" + pki + "apiserver-etcd-client.crt", "etcd-keyfile=" + pki + "apiserver-etcd-client.key",
			"etcd-servers=https://127.0.0.1:2379", "secure-port=6443", "service-cluster-ip-range=10.96.0.0/12",
		},
		"kube-controller-manager": {"bind-address=127.0.0.1", "kubeconfig=/etc/kubernetes/controller-manager.conf", "leader-elect=true"},
		"kube-scheduler":          {"bind-address=127.0.0.1", "kubeconfig=/etc/kubernetes/scheduler.conf", "leader-elect=true"},
	}[component]
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    component: %s\n    tier: control-plane\n  name: %s\n  namespace: kube-system\nspec:\n  containers:\n  - command:\n    - %s\n", component, component, component)
	for _, flag := range command {
		fmt.Fprintf(&b, "    - --%s\n", flag)
	}
	fmt.Fprintf(&b, "    image: %s\n    imagePullPolicy: IfNotPresent\n    name: %s\n  hostNetwork: true\n  priorityClassName: system-node-critical\nstatus: {}\n", image, component)
	return b.String()
}

func hostOf(url string) string {
	host := strings.TrimPrefix(url, "https://")
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

func kubectl(c *call) int {
	fl, rest, ok := c.flags("", "client short", "o", "output kubeconfig", false)
	if !ok {
		return 1
	}
	if !slices.Equal(rest, []string{"version"}) || !has(fl, "client") {
		return c.unknown(strings.Join(c.args, " "))
	}
	v := "v" + c.m.installed("kubectl")
	switch value(fl, "", "o", "output") {
	case "":
		c.printf("Client Version: %s\nKustomize Version: v5.0.4-0.20230601165947-6ce0bf390ce3\n", v)
	case "json", "yaml":
		text, err := json.MarshalIndent(map[string]any{"clientVersion": map[string]string{"gitVersion": v}}, "", "  ")
		if err != nil {
			return 1
		}
		c.printf("%s\n", text)
	}
	return 0
}

// crictl lists the static pods' containers, and runs etcdctl in etcd's.
func crictl(c *call) int {
	fl, rest, ok := c.flags("qait", "quiet all", "ro", "runtime-endpoint image-endpoint name state output timeout", true)
	if !ok {
		return 1
	}
	if len(rest) == 0 {
		return c.unknown("crictl without a command")
	}
	sub := *c
	sub.args = rest
	switch rest[0] {
	case "ps":
		more, _, ok := sub.flags("qa", "quiet all", "o", "name state output label", false)
		if !ok {
			return 1
		}
		return c.containers(append(fl, more...))
	case "images":
		for _, k := range components {
			if image, _ := c.m.world.StaticPod(c.m.cfg.Name, k); image != "" {
				c.printf("%s\n", image)
			}
		}
		return 0
	case "exec":
		if len(rest) > 2 && (strings.HasPrefix(rest[2], "etcdctl") || strings.HasPrefix(rest[2], "etcdutl")) {
			sub.args = rest[2:]
			return c.m.commands[rest[2]](&sub)
		}
	}
	return c.unknown(strings.Join(c.args, " "))
}

func (c *call) containers(fl []flag) int {
	name, err := posixRegexp(value(fl, "", "name"), true, false)
	if err != nil {
		return c.fail(1, "%v", err)
	}
	for i, k := range components {
		image, ready := c.m.world.StaticPod(c.m.cfg.Name, k)
		if image == "" || !ready || !name.MatchString(k) {
			continue
		}
		id := fmt.Sprintf("%x%012x", i+10, len(c.m.cfg.Name)*7919+i)
		if has(fl, "q", "quiet") {
			c.printf("%s\n", id)
		} else {
			c.printf("%s  %s  Running  %s\n", id, image, k)
		}
	}
	return 0
}

// curl reaches the API server of this host, and the keys of the package repositories; there is no other network.
func curl(c *call) int {
	fl, rest, ok := c.flags("fsSLkv", "fail silent show-error location insecure", "omH", "output max-time header cacert cert key connect-timeout retry", false)
	if !ok {
		return 2
	}
	if len(rest) != 1 {
		return c.unknown(strings.Join(c.args, " "))
	}
	url, body := rest[0], ""
	switch {
	case strings.HasSuffix(url, "/Release.key"):
		body = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + keyMark + "\n-----END PGP PUBLIC KEY BLOCK-----\n"
	case strings.HasPrefix(url, "https://127.0.0.1:6443/") || strings.HasPrefix(url, "https://localhost:6443/"):
		if !c.m.world.APIReady(c.m.cfg.Name) {
			c.eprintf("curl: (7) Failed to connect to 127.0.0.1 port 6443 after 0 ms: Couldn't connect to server\n")
			return 7
		}
		body = "ok"
	default:
		c.eprintf("curl: (6) Could not resolve host: %s\n", hostOf(url))
		return 6
	}
	out := value(fl, "", "o", "output")
	if out == "" {
		c.printf("%s", body)
		return 0
	}
	differs, err := c.m.tree.write(c.p.user, c.path(out), []byte(body), 0o666&^c.p.mask())
	if err != nil {
		c.eprintf("curl: (23) Failure writing output to destination\n")
		return 23
	}
	if differs {
		c.m.changedFile(c.p, "wrote", c.path(out))
	}
	return 0
}
