//go:build e2e

package e2e

// oldSettings are settings that the very next minor version refuses.
func oldSettings() []trouble {
	return []trouble{
		{
			name:  "a feature gate that is gone, for all",
			plant: `config kubelet-config kubelet sed '$afeatureGates: {DevicePlugins: true}'`, cure: `unconfig kubelet-config`,
			want:  []wanted{{"blocker", "config.gates", "ConfigMap kubelet-config", "the feature gate DevicePlugins=true: it is removed", "featureGates.DevicePlugins: true", "take the gate out of kubelet-config"}},
			along: []string{"config.kubelet"},
		},
		{
			name: "a feature gate that is gone, on a host", host: "w1",
			plant: `keep /var/lib/kubelet/config.yaml; echo 'featureGates: {PodSecurity: true}' >>/var/lib/kubelet/config.yaml`,
			cure:  `restore /var/lib/kubelet/config.yaml`,
			want:  []wanted{{"blocker", "config.gates", "w1", "the feature gate PodSecurity=true: it is removed", "/var/lib/kubelet/config.yaml: featureGates.PodSecurity: true", "take the gate out of /var/lib/kubelet/config.yaml"}},
			along: []string{"config.kubelet"},
		},
		{
			name:  "a flag of the scheduler that is gone",
			plant: `config kubeadm-config ClusterConfiguration sed 's/^scheduler: {}/scheduler: {extraArgs: {lock-object-name: mine}}/'`, cure: `unconfig kubeadm-config`,
			want:  []wanted{{"blocker", "config.flags", "ConfigMap kubeadm-config", "kube-scheduler 1.28 does not start with --lock-object-name: removed", "scheduler.extraArgs.lock-object-name: mine", "--leader-elect-resource-name"}},
			along: []string{"config.manifests"}, // kubeadm would render it
		},
		{
			name:  "a plugin of CoreDNS that kubeadm does not know",
			plant: `config coredns Corefile sed 's/^    loop$/    minimal\n&/'`, cure: `unconfig coredns`,
			want: []wanted{{"blocker", "config.corefile", "ConfigMap coredns", "does not know the plugin minimal", "CoreDNS v1.10.1 to v1.10.1", "edit the Corefile"}},
		},
	}
}

// editedAddons are edits of CoreDNS and kube-proxy, which kubeadm would undo.
func editedAddons() []trouble {
	return []trouble{
		{
			name:  "edited CoreDNS",
			plant: `k -n kube-system set resources deployment coredns --limits=memory=200Mi`,
			cure:  `k -n kube-system set resources deployment coredns --limits=memory=170Mi --field-manager=kubeadm`,
			want:  []wanted{{"warning", "config.addons", "Deployment coredns", "has changed it: the upgrade would undo these edits", "limits.memory", "corednsdeployment"}},
		},
		{
			name:  "edited kube-proxy",
			plant: `k -n kube-system patch daemonset kube-proxy --type merge -p '{"spec": {"minReadySeconds": 1}}'`,
			cure:  `k -n kube-system patch daemonset kube-proxy --type merge -p '{"spec": {"minReadySeconds": 0}}' --field-manager=kubeadm`,
			want:  []wanted{{"warning", "config.addons", "DaemonSet kube-proxy", "kubectl-patch has changed it", "spec.minReadySeconds", "keep the edits"}},
		},
	}
}

// farAway is what later minor versions do not know any more.
func farAway() []trouble {
	return []trouble{
		{
			name: "a flag of the kubelet that is gone", host: "w1",
			plant: `f=/var/lib/kubelet/kubeadm-flags.env; keep $f; sed -i 's/"$/ --keep-terminated-pod-volumes=true"/' $f`,
			cure:  `restore /var/lib/kubelet/kubeadm-flags.env`,
			want: []wanted{{
				"blocker", "config.flags", "w1", "kubelet 1.31 does not start with --keep-terminated-pod-volumes: removed",
				"/var/lib/kubelet/kubeadm-flags.env: --keep-terminated-pod-volumes=true", "take it out of /var/lib/kubelet/kubeadm-flags.env",
			}},
		},
		{
			name:  "an admission plugin that is gone",
			plant: `config kubeadm-config ClusterConfiguration sed 's/^    authorization-mode: .*/&\n    enable-admission-plugins: NodeRestriction,SecurityContextDeny/'`, cure: `unconfig kubeadm-config`,
			want:  []wanted{{"blocker", "config.flags", "ConfigMap kubeadm-config", "the admission plugin SecurityContextDeny is removed", "enable-admission-plugins", "Pod Security labels"}},
			along: []string{"config.manifests"},
		},
		{
			name:  "somebody asks for a version of the API that is gone", // the count ends with the API server
			plant: `own get --raw /apis/flowcontrol.apiserver.k8s.io/v1beta2/flowschemas >/dev/null`,
			cure:  `p=$(pgrep -x kube-apiserver); kill -9 "$p"; while [ -d "/proc/$p" ]; do sleep 0.1; done`,
			want:  []wanted{{"blocker", "api.requested", flowSchemas, "somebody uses this API version, which Kubernetes 1.29 does not serve", "cp1 (since ", "flowcontrol.apiserver.k8s.io/v1 FlowSchema"}},
		},
		{
			name: "an object was applied in a version that is gone",
			plant: `own apply -f - <<'EOF'
apiVersion: flowcontrol.apiserver.k8s.io/v1beta2
kind: FlowSchema
metadata: {name: old-habits}
spec: {matchingPrecedence: 9999, priorityLevelConfiguration: {name: catch-all}}
EOF`,
			cure:  `own delete flowschema old-habits`,
			want:  []wanted{{"warning", "api.stored", flowSchemas, "kubectl apply has written objects in this API version", "old-habits", "apply them once before the upgrade"}},
			along: []string{"api.requested"},
		},
	}
}

const flowSchemas = "flowcontrol.apiserver.k8s.io/v1beta2 flowschemas"
