package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// AskDeprecated is a client that asked the API server of a host, or with "" every one, for a deprecated version. An API
// server remembers it until it is restarted, and tells it at /metrics alone. Nobody in the sandbox itself does such things.
func (c *Cluster) AskDeprecated(host string, api DeprecatedAPI) {
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range w.controlPlanes() {
		if s := w.hosts[name].statics["kube-apiserver"]; (host == "" || host == name) && !slices.Contains(s.asked, api) {
			s.asked = append(s.asked, api)
		}
	}
}

// fetch gets an object or a list.
func fetch[T any](c caller, path string) T {
	c.t.Helper()
	var v T
	code, body, err := c.try("GET", path, "", "")
	if err == nil && code == 200 {
		err = json.Unmarshal([]byte(body), &v)
	}
	if err != nil || code != 200 {
		c.t.Fatalf("GET %s: %d %v %s", path, code, err, body)
	}
	return v
}

// A new sandbox holds all that preflight reads, as kubeadm leaves it, and nothing to complain about.
func TestAsKubeadmLeavesIt(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 3, Workers: 3, Version: "1.27.3"})
	system := "/api/v1/namespaces/kube-system/configmaps/"
	if text := fetch[corev1.ConfigMap](c, system+"kubeadm-config").Data["ClusterConfiguration"]; !strings.Contains(text, "kubernetesVersion: v1.27.3\n") || !strings.Contains(text, "controlPlaneEndpoint: "+balancer+"\n") {
		t.Errorf("kubeadm-config:\n%s", text)
	}
	if text := fetch[corev1.ConfigMap](c, system+"kubelet-config").Data["kubelet"]; text != machine.KubeletConfig("1.27.3") {
		t.Errorf("kubelet-config:\n%s", text)
	}
	if text := fetch[corev1.ConfigMap](c, system+"coredns").Data["Corefile"]; !strings.HasPrefix(text, ".:53 {\n") {
		t.Errorf("Corefile:\n%s", text)
	}
	if text := fetch[corev1.ConfigMap](c, system+"kube-proxy").Data["config.conf"]; !strings.Contains(text, "kind: KubeProxyConfiguration") {
		t.Errorf("kube-proxy:\n%s", text)
	}
	for _, path := range []string{"/apis/batch/v1/jobs", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"} {
		if l := fetch[metav1.PartialObjectMetadataList](c, path); len(l.Items) > 0 {
			t.Errorf("%s: %v", path, l.Items)
		}
	}
	if a := fetch[metav1.APIVersions](c, "/api").ServerAddressByClientCIDRs; len(a) != 1 || !strings.HasPrefix(a[0].ServerAddress, "198.18.0.1") {
		t.Errorf("which API server answers: %v", a)
	}
	planes := map[string]bool{}
	for _, p := range fetch[corev1.PodList](c, "/api/v1/pods").Items {
		if p.Labels["k8s-app"] != "kube-proxy" && p.Spec.Containers[0].Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s requests nothing", p.Name)
		}
		if p.Labels["k8s-app"] == "kube-dns" {
			planes[p.Spec.NodeName] = true
		}
	}
	if len(planes) != 2 {
		t.Errorf("CoreDNS stands on %v", planes)
	}
}

// The objects of the addons name kubeadm as the one who wrote them, field by field.
func TestAddonsWrittenByKubeadm(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1})
	d := fetch[appsv1.Deployment](c, "/apis/apps/v1/namespaces/kube-system/deployments/coredns")
	ds := fetch[appsv1.DaemonSet](c, "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy")
	for name, fields := range map[string][]metav1.ManagedFieldsEntry{"coredns": d.ManagedFields, "kube-proxy": ds.ManagedFields} {
		if len(fields) != 2 || fields[0].Manager != "kubeadm" || fields[1].Manager != "kube-controller-manager" || fields[1].Subresource != "status" {
			t.Fatalf("%s: %+v", name, fields)
		}
		if want := `"k:{\"name\":\"` + name + `\"}":{".":{},`; !strings.Contains(fields[0].FieldsV1.GetRawString(), want) {
			t.Errorf("%s: %s is missing in %s", name, want, fields[0].FieldsV1.GetRawString())
		}
	}
}

// What is planted shows, until the API server is restarted or the object is written again.
func TestPlantedTrouble(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 2, Workers: 1, Version: "1.28.15", Speed: 20})
	old := DeprecatedAPI{"flowcontrol.apiserver.k8s.io", "v1beta2", "flowschemas", "1.29"}
	c.c.AskDeprecated("cp1", old)
	want := `apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.29",resource="flowschemas",subresource="",version="v1beta2"} 1`
	if got := c.c.world.Metrics("cp1"); !strings.Contains(got, want+"\n") || !strings.Contains(got, "\nprocess_start_time_seconds 1.") {
		t.Errorf("cp1: %s", got)
	}
	if got := c.c.world.Metrics("cp2") + c.c.world.Metrics("w1"); strings.Contains(got, "deprecated") {
		t.Errorf("elsewhere: %s", got)
	}
	c.c.world.RunStaticPod("cp1", "kube-apiserver", imageOf("kube-apiserver", "1.28.15"))
	if got := c.c.world.Metrics("cp1"); strings.Contains(got, "deprecated") {
		t.Errorf("after a restart: %s", got)
	}
	hook := `{"metadata":{"name":"policy"},"webhooks":[{"name":"pods.policy.example"}]}`
	if err := c.c.Put("validatingwebhookconfigurations", hook); err != nil {
		t.Fatal(err)
	}
	if got := c.c.Object("validatingwebhookconfigurations", "policy"); !strings.Contains(got, `"name":"pods.policy.example"`) {
		t.Errorf("the webhook: %s", got)
	}
	for _, fault := range [][2]string{{"secrets", "{}"}, {"pods", "{"}, {"pods", `{"metadata":{"name":"p"}}`}, {"nodes", `{"metadata":{"name":"n","namespace":"x"}}`}} {
		if err := c.c.Put(fault[0], fault[1]); err == nil {
			t.Errorf("%s %s was taken", fault[0], fault[1])
		}
	}
}

// An upgrade brings the version, the kubelets' configuration and CoreDNS along, and leaves what people have written.
func TestConfigurationGoesAlong(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1, Version: "1.28.15", Speed: 50})
	name := "kube-system/kubeadm-config"
	edited := strings.Replace(c.c.Object("configmaps", name), `dns: {}\n`, `dns: {}\nfeatureGates:\n  PublicKeysECDSA: true\n`, 1)
	if err := c.c.Put("configmaps", edited); err != nil {
		t.Fatal(err)
	}
	w := c.c.world
	w.SetClusterVersion("1.29.15")
	for _, want := range []string{`PublicKeysECDSA: true\n`, `kubernetesVersion: v1.29.15\n`} {
		if got := c.c.Object("configmaps", name); !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	if got := c.c.Object("configmaps", "kube-system/kubelet-config"); !strings.Contains(got, `imageMaximumGCAge: 0s\n`) {
		t.Errorf("kubelet-config: %s", got)
	}
	w.RunStaticPod("cp1", "kube-apiserver", imageOf("kube-apiserver", "1.29.15"))
	c.eventually("CoreDNS has the version of 1.29", func() bool {
		return strings.Contains(c.c.Object("deployments", "kube-system/coredns"), imageOf("coredns", "1.29.15"))
	})
}
