package machine

import (
	"encoding/base64"
	"fmt"
	"path"
	"sync"
	"time"
)

const (
	kubernetesDir = "/etc/kubernetes/"
	pkiDir        = kubernetesDir + "pki/"
	kubeletPKI    = "/var/lib/kubelet/pki/"
)

// A certificate is one that kubeadm keeps on a control plane, and renews with the component that it belongs to
// (kubeadm/app/phases/upgrade/staticpods.go: renewCertsByComponent).
type certificate struct {
	name      string // below pkiDir, without .crt and .key
	component string
	by        *Authority
	leaf      Leaf
}

func (m *Machine) certificates() []certificate {
	a, own := m.cfg.Common, m.address()
	etcd := []string{m.cfg.Name, "localhost", own, "127.0.0.1", "::1"}
	api := []string{m.cfg.Name, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.96.0.1", own}
	if m.cfg.Endpoint != "" {
		api = append(api, hostOf(m.cfg.Endpoint))
	}
	masters := []string{m.adminGroup()}
	return []certificate{
		{"etcd/server", "etcd", a.Etcd, Leaf{Name: m.cfg.Name, Servers: etcd, Client: true}},
		{"etcd/peer", "etcd", a.Etcd, Leaf{Name: m.cfg.Name, Servers: etcd, Client: true}},
		{"etcd/healthcheck-client", "etcd", a.Etcd, Leaf{Name: "kube-etcd-healthcheck-client", Client: true}},
		{"apiserver", "kube-apiserver", a.Kubernetes, Leaf{Name: "kube-apiserver", Servers: api}},
		{"apiserver-kubelet-client", "kube-apiserver", a.Kubernetes, Leaf{Name: "kube-apiserver-kubelet-client", Groups: masters, Client: true}},
		{"apiserver-etcd-client", "kube-apiserver", a.Etcd, Leaf{Name: "kube-apiserver-etcd-client", Client: true}},
		{"front-proxy-client", "kube-apiserver", a.FrontProxy, Leaf{Name: "front-proxy-client", Client: true}},
	}
}

// adminGroup is the group of administrators: kubeadm has one of its own since 1.29.
func (m *Machine) adminGroup() string {
	if r, ok := parseRelease(m.cfg.Version); ok && r.minor < 29 {
		return "system:masters"
	}
	return "kubeadm:cluster-admins"
}

// A kubeconfig is one with a client certificate inside, which kubeadm renews with a component; admin.conf at the end.
type kubeconfig struct {
	file, component, server string
	leaf                    Leaf
}

func (m *Machine) kubeconfigs() []kubeconfig {
	own := "https://" + m.address() + ":6443"
	return []kubeconfig{
		{"controller-manager.conf", "kube-controller-manager", own, Leaf{Name: "system:kube-controller-manager", Client: true}},
		{"scheduler.conf", "kube-scheduler", own, Leaf{Name: "system:kube-scheduler", Client: true}},
		{"admin.conf", "", m.endpoint(), Leaf{Name: "kubernetes-admin", Groups: []string{m.adminGroup()}, Client: true}},
	}
}

// endpoint is the server that clients of the whole cluster use.
func (m *Machine) endpoint() string {
	if m.cfg.Endpoint != "" {
		return "https://" + m.cfg.Endpoint
	}
	return "https://" + m.address() + ":6443"
}

// address is the host's own, as etcd's members know it; workers have none that matters.
func (m *Machine) address() string {
	for _, e := range m.world.EtcdMembers() {
		if e.Name == m.cfg.Name || !m.cfg.ControlPlane {
			return hostOf(e.ClientURL)
		}
	}
	return "127.0.0.1"
}

// seedCertificates writes what a host got when it joined: a kubelet's certificates, and on a control plane all others.
func (m *Machine) seedCertificates() {
	a, end := m.cfg.Common, m.cfg.Common.Since.Add(leafLasts)
	m.tree.put(pkiDir+"ca.crt", string(a.Kubernetes.PEM()), 0o644)
	m.seedKubelet(end)
	if !m.cfg.ControlPlane {
		return
	}
	for name, by := range map[string]*Authority{"ca": a.Kubernetes, "etcd/ca": a.Etcd, "front-proxy-ca": a.FrontProxy} {
		m.tree.put(pkiDir+name+".crt", string(by.PEM()), 0o644)
		m.tree.putLater(pkiDir+name+".key", func() []byte { return must(keyPEM(by.key)) }, 0o600)
	}
	m.tree.put(pkiDir+"sa.pub", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", 0o644)
	m.tree.put(pkiDir+"sa.key", "-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n", 0o600)
	for _, c := range m.certificates() {
		m.issue(c, end)
	}
	for _, k := range m.kubeconfigs() {
		m.writeKubeconfig(k, end)
	}
}

// issue writes a certificate and its key. Both are made when somebody reads one of them.
func (m *Machine) issue(c certificate, end time.Time) {
	c.leaf.NotAfter = end
	pair := sync.OnceValues(func() ([]byte, []byte) { return mustPair(c.by.Issue(c.leaf)) })
	m.tree.putLater(pkiDir+c.name+".crt", func() []byte { cert, _ := pair(); return cert }, 0o644)
	m.tree.putLater(pkiDir+c.name+".key", func() []byte { _, key := pair(); return key }, 0o600)
}

func (m *Machine) writeKubeconfig(k kubeconfig, end time.Time) {
	k.leaf.NotAfter = end
	a := m.cfg.Common.Kubernetes
	m.tree.putLater(kubernetesDir+k.file, func() []byte {
		cert, key := mustPair(a.Issue(k.leaf))
		b64 := base64.StdEncoding.EncodeToString
		return kubeconfigText(a, k.server, k.leaf.Name, "client-certificate-data: "+b64(cert), "client-key-data: "+b64(key))
	}, 0o600)
}

// renew renews the certificates that belong to a component, or with "" the administrator's.
func (m *Machine) renew(component string) (names []string) {
	end := time.Now().Add(leafLasts)
	for _, c := range m.certificates() {
		if c.component == component {
			m.issue(c, end)
			names = append(names, path.Base(c.name))
		}
	}
	for _, k := range m.kubeconfigs() {
		if k.component == component {
			m.writeKubeconfig(k, end)
			names = append(names, k.file)
		}
	}
	return names
}

func kubeconfigText(a *Authority, server, user, cert, key string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: %[3]s
  name: %[3]s@kubernetes
current-context: %[3]s@kubernetes
kind: Config
preferences: {}
users:
- name: %[3]s
  user:
    %[4]s
    %[5]s
`, base64.StdEncoding.EncodeToString(a.PEM()), server, user, cert, key)
}

// seedKubelet writes the client certificate of the kubelet, which it renews itself, and the one that it serves with,
// which it has signed itself.
func (m *Machine) seedKubelet(end time.Time) {
	a, name := m.cfg.Common, "system:node:"+m.cfg.Name
	current := kubeletPKI + "kubelet-client-" + a.Since.UTC().Format("2006-01-02-15-04-05") + ".pem"
	m.tree.putLater(current, func() []byte {
		cert, key := mustPair(a.Kubernetes.Issue(Leaf{Name: name, Groups: []string{"system:nodes"}, Client: true, NotAfter: end}))
		return append(cert, key...)
	}, 0o600)
	m.tree.mustLink(current, kubeletPKI+"kubelet-client-current.pem")
	pair := sync.OnceValues(func() ([]byte, []byte) { return m.selfSigned(a.Since) })
	m.tree.putLater(kubeletPKI+"kubelet.crt", func() []byte { cert, _ := pair(); return cert }, 0o644)
	m.tree.putLater(kubeletPKI+"kubelet.key", func() []byte { _, key := pair(); return key }, 0o600)
	server, file := m.endpoint(), kubeletPKI+"kubelet-client-current.pem"
	m.tree.putLater(kubernetesDir+"kubelet.conf", func() []byte {
		return kubeconfigText(a.Kubernetes, server, name, "client-certificate: "+file, "client-key: "+file)
	}, 0o600)
}

// selfSigned is the serving certificate that a kubelet makes for itself, with the authority of its own behind it
// (client-go: GenerateSelfSignedCertKey; a year, like all that kubeadm makes).
func (m *Machine) selfSigned(since time.Time) (certs, key []byte) {
	stamp := fmt.Sprintf("@%d", since.Unix())
	by := must(newAuthority(m.cfg.Name+"-ca"+stamp, since, leafLasts))
	cert, key := mustPair(by.Issue(Leaf{Name: m.cfg.Name + stamp, Servers: []string{m.cfg.Name}, NotAfter: since.Add(leafLasts)}))
	return append(cert, by.PEM()...), key
}

// must and mustPair are for what fails only when the computer has no random numbers.
func must[T any](v T, err error) T {
	if err != nil {
		panic("machine: " + err.Error())
	}
	return v
}

func mustPair(a, b []byte, err error) ([]byte, []byte) {
	if err != nil {
		panic("machine: " + err.Error())
	}
	return a, b
}
