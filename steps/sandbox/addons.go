package sandbox

import (
	"encoding/json"
	"maps"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// addSystem fills in what every kubeadm cluster has: namespaces, configuration, CoreDNS, kube-proxy and a network.
func (w *world) addSystem() {
	for _, name := range []string{"default", "kube-node-lease", "kube-public", "kube-system", "shop"} {
		n := &corev1.Namespace{ObjectMeta: w.meta("", name, map[string]string{"kubernetes.io/metadata.name": name})}
		n.Status.Phase = corev1.NamespaceActive
		w.put("namespaces", n)
	}
	w.putConfig("kubeadm-config", nil, map[string]string{"ClusterConfiguration": clusterConfiguration(w.config, w.endpoint)})
	w.putConfig("kubelet-config", nil, map[string]string{"kubelet": machine.KubeletConfig(w.config)})
	w.putConfig("coredns", nil, map[string]string{"Corefile": corefile})
	w.putConfig("kube-proxy", map[string]string{"app": "kube-proxy"}, map[string]string{"config.conf": kubeProxyConfig})

	proxy := w.addDaemonSet(&owner{name: "kube-proxy", image: imageOf("kube-proxy", w.config)})
	writtenByKubeadm(proxy, proxy.Spec, "numberReady")
	w.addDaemonSet(&owner{name: "cni", image: "sandbox.invalid/cni:v1.4.0", cpu: "100m", memory: "50Mi"})
	w.addCoreDNS()
}

// addCoreDNS makes the Deployment as kubeadm does, and a budget that its administrators have added.
func (w *world) addCoreDNS() {
	d := w.addDeployment(&owner{
		namespace: "kube-system", name: "coredns", replicas: 2, labels: map[string]string{"k8s-app": "kube-dns"},
		image: imageOf("coredns", w.config), cpu: "100m", memory: "70Mi", tolerates: true, first: w.controlPlanes(),
	})
	c := &d.Spec.Template.Spec.Containers[0]
	c.Args = []string{"-conf", "/etc/coredns/Corefile"}
	c.VolumeMounts = []corev1.VolumeMount{{Name: "config-volume", MountPath: "/etc/coredns", ReadOnly: true}}
	d.Spec.Template.Spec.PriorityClassName = "system-cluster-critical"
	d.Annotations = map[string]string{"deployment.kubernetes.io/revision": "1"}
	writtenByKubeadm(d, d.Spec, "readyReplicas")
	if len(w.names) > 1 {
		w.addBudget("kube-system", "coredns", map[string]string{"k8s-app": "kube-dns"}, "minAvailable", 1)
	}
}

// putConfig writes a ConfigMap of kube-system.
func (w *world) putConfig(name string, labels, data map[string]string) {
	c := find[*corev1.ConfigMap](w, "configmaps", key("kube-system", name))
	if c == nil {
		c = &corev1.ConfigMap{ObjectMeta: w.meta("kube-system", name, labels)}
	}
	c.Data = data
	w.put("configmaps", c)
}

// upgradeConfig brings kubeadm's ConfigMaps from one version to another, as kubeadm upgrade apply does. What somebody has
// written into ClusterConfiguration stays.
func (w *world) upgradeConfig(was, is string) {
	text := clusterConfiguration(is, w.endpoint)
	if c := find[*corev1.ConfigMap](w, "configmaps", "kube-system/kubeadm-config"); c != nil {
		if has := c.Data["ClusterConfiguration"]; has != clusterConfiguration(was, w.endpoint) {
			text = strings.Replace(has, "kubernetesVersion: v"+was+"\n", "kubernetesVersion: v"+is+"\n", 1)
		}
	}
	w.putConfig("kubeadm-config", nil, map[string]string{"ClusterConfiguration": text})
	w.putConfig("kubelet-config", nil, map[string]string{"kubelet": machine.KubeletConfig(is)})
}

// upgradeAddons moves kube-proxy and CoreDNS to the cluster's version once every control plane has it, as kubeadm does
// since 1.28.
func (w *world) upgradeAddons() {
	for _, name := range w.controlPlanes() {
		if s := w.hosts[name].statics["kube-apiserver"]; tag(s.image) != w.config || !s.ready {
			return
		}
	}
	if ds := find[*appsv1.DaemonSet](w, "daemonsets", "kube-system/kube-proxy"); ds != nil {
		w.setImage(ds, &ds.Spec.Template, map[string]string{"k8s-app": "kube-proxy"}, imageOf("kube-proxy", w.config))
	}
	if d := find[*appsv1.Deployment](w, "deployments", "kube-system/coredns"); d != nil {
		w.setImage(d, &d.Spec.Template, map[string]string{"k8s-app": "kube-dns"}, imageOf("coredns", w.config))
	}
}

// setImage gives a controller's template and its pods another image.
func (w *world) setImage(o object, template *corev1.PodTemplateSpec, labels map[string]string, image string) {
	if template.Spec.Containers[0].Image == image {
		return
	}
	template.Spec.Containers[0].Image = image
	w.touch(o)
	for _, owner := range w.owners {
		if owner.namespace == "kube-system" && maps.Equal(owner.labels, labels) {
			owner.image = image
		}
	}
	for _, p := range list[*corev1.Pod](w, "pods") {
		if p.Namespace == "kube-system" && maps.Equal(p.Labels, labels) {
			p.Spec.Containers[0].Image = image
			w.touch(p)
		}
	}
}

// writtenByKubeadm notes on an object who has written it: kubeadm its specification, the controller its status.
func writtenByKubeadm(o object, spec any, status string) {
	now := o.GetCreationTimestamp()
	o.SetManagedFields([]metav1.ManagedFieldsEntry{
		{
			Manager: "kubeadm", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "apps/v1", Time: &now, FieldsType: "FieldsV1",
			FieldsV1: &metav1.FieldsV1{Raw: fieldsText(map[string]any{"f:metadata": map[string]any{"f:labels": map[string]any{".": struct{}{}, "f:k8s-app": struct{}{}}}, "f:spec": ownedFields(spec)})},
		},
		{
			Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "apps/v1", Time: &now, FieldsType: "FieldsV1", Subresource: "status",
			FieldsV1: &metav1.FieldsV1{Raw: fieldsText(map[string]any{"f:status": map[string]any{"f:observedGeneration": struct{}{}, "f:" + status: struct{}{}}})},
		},
	})
}

// ownedFields are all fields of a value, in the form of metadata.managedFields.
func ownedFields(v any) any {
	var plain any
	if err := json.Unmarshal(fieldsText(v), &plain); err != nil {
		return struct{}{}
	}
	return owned(plain)
}

// owned goes down into objects and into the lists whose items have names; other lists are owned as a whole.
func owned(v any) any {
	out := map[string]any{}
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if inner != nil && k != "matchLabels" {
				out["f:"+k] = owned(inner)
			}
		}
	case []any:
		for _, item := range v {
			if named, ok := item.(map[string]any); ok && named["name"] != nil {
				inner, _ := owned(item).(map[string]any)
				inner["."] = struct{}{}
				out["k:"+string(fieldsText(map[string]any{"name": named["name"]}))] = inner
			}
		}
	}
	return out
}

// fieldsText is a value as JSON; of what the sandbox gives it nothing can fail.
func fieldsText(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return b
}
