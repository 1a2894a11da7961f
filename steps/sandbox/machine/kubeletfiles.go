package machine

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// What tells a kubelet how to run.
const (
	kubeletConfigFile = "/var/lib/kubelet/config.yaml"
	kubeletInstance   = "/var/lib/kubelet/instance-config.yaml"
	kubeletFlagsFile  = "/var/lib/kubelet/kubeadm-flags.env"
	kubeletDropIn     = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
	runtimeSocket     = "unix:///var/run/containerd/containerd.sock"
)

// KubeletConfig is the configuration of every kubelet as the kubeadm of this version writes it: to the ConfigMap
// kubelet-config and, alike, to the hosts.
func KubeletConfig(version string) string {
	r, _ := parseRelease(version)
	since := func(minor int, text string) string {
		if r.minor >= minor {
			return text
		}
		return ""
	}
	return `apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
` + since(27, "containerRuntimeEndpoint: \"\"\n") + `cpuManagerReconcilePeriod: 0s
` + since(32, "crashLoopBackOff: {}\n") + `evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
` + since(29, "imageMaximumGCAge: 0s\n") + `imageMinimumGCAge: 0s
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
` + since(30, "    text:\n      infoBufferSize: \"0\"\n") + `  verbosity: 0
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
`
}

// kubeletFlags is kubeadm-flags.env: the socket moved to a file of its own in 1.34 (NodeLocalCRISocket), and the image of
// the pause container is no flag since 1.35.
func kubeletFlags(version string) string {
	r, _ := parseRelease(version)
	var flags []string
	if r.minor < 34 {
		flags = append(flags, "--container-runtime-endpoint="+runtimeSocket)
	}
	if r.minor < 35 {
		flags = append(flags, "--pod-infra-container-image="+Image("pause", version))
	}
	return fmt.Sprintf("KUBELET_KUBEADM_ARGS=%q\n", strings.Join(flags, " "))
}

// seedKubeletFiles writes what kubeadm and the package of the kubelet bring.
func (m *Machine) seedKubeletFiles() {
	r, _ := parseRelease(m.cfg.Version)
	t := m.tree
	t.put(kubeletConfigFile, KubeletConfig(m.cfg.Version), 0o644)
	t.put(kubeletFlagsFile, kubeletFlags(m.cfg.Version), 0o644)
	if r.minor >= 34 {
		t.put(kubeletInstance, fmt.Sprintf("containerRuntimeEndpoint: %q\n", runtimeSocket), 0o644)
	}
	t.put("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n", 0o644)
	t.put("/usr/lib/systemd/system/kubelet.service", "[Unit]\nDescription=kubelet: The Kubernetes Node Agent\n\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\nRestartSec=10\n", 0o644)
	t.put(kubeletDropIn, `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`, 0o644)
}

// kubeletCommand is the command line that systemd makes of the unit and its drop-ins.
func (m *Machine) kubeletCommand() []string {
	command, vars := "/usr/bin/kubelet", map[string]string{}
	for _, file := range m.kubeletUnitFiles() {
		data, err := m.tree.read("root", file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch name {
			case "Environment":
				setVariable(vars, strings.Trim(value, `"`))
			case "EnvironmentFile":
				m.readVariables(vars, strings.TrimPrefix(value, "-"))
			case "ExecStart":
				if value != "" {
					command = value
				}
			}
		}
	}
	var words []string
	for word := range strings.FieldsSeq(command) {
		if name, ok := strings.CutPrefix(word, "$"); ok {
			words = append(words, strings.Fields(vars[name])...)
		} else {
			words = append(words, word)
		}
	}
	return words
}

// kubeletUnitFiles are the unit and its drop-ins, in systemd's order: by name, whatever directory they are in.
func (m *Machine) kubeletUnitFiles() []string {
	var dropIns []string
	for _, dir := range []string{"/usr/lib/systemd/system/kubelet.service.d", "/etc/systemd/system/kubelet.service.d"} {
		entries, err := m.tree.list("root", dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if path.Ext(e.Name()) == ".conf" {
				dropIns = append(dropIns, path.Join(dir, e.Name()))
			}
		}
	}
	slices.SortStableFunc(dropIns, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return append([]string{"/usr/lib/systemd/system/kubelet.service"}, dropIns...)
}

func (m *Machine) readVariables(vars map[string]string, file string) {
	data, err := m.tree.read("root", file)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		setVariable(vars, strings.TrimSpace(line))
	}
}

func setVariable(vars map[string]string, assignment string) {
	if name, value, ok := strings.Cut(assignment, "="); ok && !strings.HasPrefix(name, "#") {
		vars[name] = strings.Trim(value, `"'`)
	}
}
