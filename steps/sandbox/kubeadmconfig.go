package sandbox

import "fmt"

// clusterConfiguration is what kubeadm of a version keeps in kubeadm-config: in the form v1beta3, since 1.31 in v1beta4.
func clusterConfiguration(version, endpoint string) string {
	if endpoint != "" {
		endpoint = "controlPlaneEndpoint: " + endpoint + "\n"
	}
	head, proxy, form := "apiServer:\n  extraArgs:\n    authorization-mode: Node,RBAC\n  timeoutForControlPlane: 4m0s\n", "", "v1beta3"
	validity, encryption := "", ""
	if minor(version) >= 31 {
		head, proxy, form = "apiServer: {}\n", "proxy: {}\n", "v1beta4"
		validity, encryption = "caCertificateValidityPeriod: 87600h0m0s\ncertificateValidityPeriod: 8760h0m0s\n", "encryptionAlgorithm: RSA-2048\n"
	}
	return head + "apiVersion: kubeadm.k8s.io/" + form + "\n" + validity + `certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
` + endpoint + `controllerManager: {}
dns: {}
` + encryption + `etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
` + fmt.Sprintf("kubernetesVersion: v%s\n", version) + `networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
` + proxy + "scheduler: {}\n"
}

// corefile is kubeadm's (cmd/kubeadm/app/phases/addons/dns/manifests.go).
const corefile = `.:53 {
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

// kubeProxyConfig is kubeadm's, without the settings that are empty.
const kubeProxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
enableProfiling: false
kind: KubeProxyConfiguration
mode: ""
`
