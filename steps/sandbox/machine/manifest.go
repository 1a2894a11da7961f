package machine

import (
	"fmt"
	"slices"
	"strings"
)

// The networks of a pretend cluster, as kubeadm-config names them.
const (
	serviceNetwork = "10.96.0.0/12"
	podNetwork     = "10.244.0.0/16"
)

// A staticPod is what kubeadm writes into the manifest of a component (kubeadm/app/phases/controlplane/manifests.go and
// etcd/local.go).
type staticPod struct {
	annotation         string
	flags              []string
	live, ready, start string // paths of probes; "" is none
	host, scheme       string // of the probes
	port               int
	requests           []string
	volumes            []volume
	mounts             []volume // when they stand in another order than the volumes
}

// A volume is a directory of the host, or a file, that a static pod sees.
type volume struct {
	name, path string
	file       bool
	writable   bool
}

// manifest is the text of a static pod's manifest, as the kubeadm that comes with the image writes it. Of the minor
// versions between 1.29 and 1.35 some details are taken from the nearer of the two.
func (m *Machine) manifest(component, image string) string {
	r, ok := parseRelease(tagOf(image))
	if !ok || component == "etcd" {
		r = etcdRelease(tagOf(image))
	}
	address := m.address()
	pod := map[string]func(string, release) staticPod{
		"etcd": m.etcdPod, "kube-apiserver": apiServerPod, "kube-controller-manager": controllerManagerPod, "kube-scheduler": schedulerPod,
	}[component](address, r)
	return pod.text(component, image, r.minor >= 34)
}

// etcdRelease is the first version of Kubernetes whose kubeadm brings an etcd like this one.
func etcdRelease(tag string) release {
	if strings.HasPrefix(tag, "3.5.") {
		return release{1, 27, 0}
	}
	return release{1, 34, 0}
}

func (m *Machine) etcdPod(address string, r release) staticPod {
	pki, client, peer := pkiDir+"etcd/", "https://"+address+":2379", "https://"+address+":2380"
	p := staticPod{
		annotation: "kubeadm.kubernetes.io/etcd.advertise-client-urls: " + client,
		flags: []string{
			"advertise-client-urls=" + client, "cert-file=" + pki + "server.crt", "client-cert-auth=true", "data-dir=/var/lib/etcd",
			"experimental-initial-corrupt-check=true", "experimental-watch-progress-notify-interval=5s",
			"initial-advertise-peer-urls=" + peer, "initial-cluster=" + m.cfg.Name + "=" + peer, "key-file=" + pki + "server.key",
			"listen-client-urls=https://127.0.0.1:2379," + client, "listen-metrics-urls=http://127.0.0.1:2381", "listen-peer-urls=" + peer,
			"name=" + m.cfg.Name, "peer-cert-file=" + pki + "peer.crt", "peer-client-cert-auth=true", "peer-key-file=" + pki + "peer.key",
			"peer-trusted-ca-file=" + pki + "ca.crt", "snapshot-count=10000", "trusted-ca-file=" + pki + "ca.crt",
		},
		live: "/health?exclude=NOSPACE&serializable=true", start: "/health?serializable=false",
		host: "127.0.0.1", scheme: "HTTP", port: 2381, requests: []string{"cpu: 100m", "memory: 100Mi"},
		mounts:  []volume{{"etcd-data", "/var/lib/etcd", false, true}, {"etcd-certs", pkiDir + "etcd", false, true}},
		volumes: []volume{{"etcd-certs", pkiDir + "etcd", false, true}, {"etcd-data", "/var/lib/etcd", false, true}},
	}
	if r.minor >= 34 { // etcd 3.6
		p.flags = slices.DeleteFunc(p.flags, func(f string) bool { return strings.HasPrefix(f, "experimental-") })
		p.flags = append(p.flags, "feature-gates=InitialCorruptCheck=true", "watch-progress-notify-interval=5s")
		slices.Sort(p.flags)
		p.live, p.ready, p.start = "/livez", "/readyz", "/readyz"
	}
	return p
}

func apiServerPod(address string, _ release) staticPod {
	pki := pkiDir
	return staticPod{
		annotation: "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: " + address + ":6443",
		flags: []string{
			"advertise-address=" + address, "allow-privileged=true", "authorization-mode=Node,RBAC", "client-ca-file=" + pki + "ca.crt",
			"enable-admission-plugins=NodeRestriction", "enable-bootstrap-token-auth=true", "etcd-cafile=" + pki + "etcd/ca.crt",
			"etcd-certfile=" + pki + "apiserver-etcd-client.crt", "etcd-keyfile=" + pki + "apiserver-etcd-client.key", "etcd-servers=https://127.0.0.1:2379",
			"kubelet-client-certificate=" + pki + "apiserver-kubelet-client.crt", "kubelet-client-key=" + pki + "apiserver-kubelet-client.key",
			"kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
			"proxy-client-cert-file=" + pki + "front-proxy-client.crt", "proxy-client-key-file=" + pki + "front-proxy-client.key",
			"requestheader-allowed-names=front-proxy-client", "requestheader-client-ca-file=" + pki + "front-proxy-ca.crt",
			"requestheader-extra-headers-prefix=X-Remote-Extra-", "requestheader-group-headers=X-Remote-Group", "requestheader-username-headers=X-Remote-User",
			"secure-port=6443", "service-account-issuer=https://kubernetes.default.svc.cluster.local", "service-account-key-file=" + pki + "sa.pub",
			"service-account-signing-key-file=" + pki + "sa.key", "service-cluster-ip-range=" + serviceNetwork,
			"tls-cert-file=" + pki + "apiserver.crt", "tls-private-key-file=" + pki + "apiserver.key",
		},
		live: "/livez", ready: "/readyz", start: "/livez", host: address, scheme: "HTTPS", port: 6443, requests: []string{"cpu: 250m"},
		volumes: certificateVolumes(volume{"k8s-certs", strings.TrimSuffix(pkiDir, "/"), false, false}),
	}
}

func controllerManagerPod(_ string, _ release) staticPod {
	pki, config := pkiDir, kubernetesDir+"controller-manager.conf"
	return staticPod{
		flags: []string{
			"allocate-node-cidrs=true", "authentication-kubeconfig=" + config, "authorization-kubeconfig=" + config, "bind-address=127.0.0.1",
			"client-ca-file=" + pki + "ca.crt", "cluster-cidr=" + podNetwork, "cluster-name=kubernetes", "cluster-signing-cert-file=" + pki + "ca.crt",
			"cluster-signing-key-file=" + pki + "ca.key", "controllers=*,bootstrapsigner,tokencleaner", "kubeconfig=" + config, "leader-elect=true",
			"requestheader-client-ca-file=" + pki + "front-proxy-ca.crt", "root-ca-file=" + pki + "ca.crt",
			"service-account-private-key-file=" + pki + "sa.key", "service-cluster-ip-range=" + serviceNetwork, "use-service-account-credentials=true",
		},
		live: "/healthz", start: "/healthz", host: "127.0.0.1", scheme: "HTTPS", port: 10257, requests: []string{"cpu: 200m"},
		volumes: certificateVolumes(
			volume{"flexvolume-dir", "/usr/libexec/kubernetes/kubelet-plugins/volume/exec", false, true},
			volume{"k8s-certs", strings.TrimSuffix(pkiDir, "/"), false, false}, volume{"kubeconfig", config, true, false},
		),
	}
}

func schedulerPod(_ string, r release) staticPod {
	config := kubernetesDir + "scheduler.conf"
	p := staticPod{
		flags: []string{
			"authentication-kubeconfig=" + config, "authorization-kubeconfig=" + config, "bind-address=127.0.0.1", "kubeconfig=" + config, "leader-elect=true",
		},
		live: "/healthz", start: "/healthz", host: "127.0.0.1", scheme: "HTTPS", port: 10259, requests: []string{"cpu: 100m"},
		volumes: []volume{{"kubeconfig", config, true, false}},
	}
	if r.minor >= 34 {
		p.live, p.ready, p.start = "/livez", "/readyz", "/livez"
	}
	return p
}

// certificateVolumes are the certificates of Debian around the others, in the order of their names.
func certificateVolumes(others ...volume) []volume {
	first := []volume{{"ca-certs", "/etc/ssl/certs", false, false}, {"etc-ca-certificates", "/etc/ca-certificates", false, false}}
	last := []volume{
		{"usr-local-share-ca-certificates", "/usr/local/share/ca-certificates", false, false},
		{"usr-share-ca-certificates", "/usr/share/ca-certificates", false, false},
	}
	return slices.Concat(first, others, last)
}

// tagOf is what stands behind the last colon of an image's name.
func tagOf(image string) string { return image[strings.LastIndex(image, ":")+1:] }

// A yamlText is a document in the making.
type yamlText struct{ strings.Builder }

func (y *yamlText) line(format string, args ...any) { fmt.Fprintf(y, format+"\n", args...) }
