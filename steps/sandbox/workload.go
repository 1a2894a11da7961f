package sandbox

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// An owner is a controller's object that keeps a number of pods alive.
type owner struct {
	kind, namespace, name string // of the direct owner: ReplicaSet, StatefulSet, DaemonSet
	uid                   types.UID
	replicas              int
	labels                map[string]string
	image                 string
	cpu, memory           string   // what each pod requests; "" is nothing
	tolerates             bool     // runs on control planes too
	first                 []string // where its first pods are put, as an older cluster would have them
}

// addWorkload fills the workers with a shop: two Deployments, a StatefulSet, and budgets that always let one pod go.
// Every worker gets some of it.
func (w *world) addWorkload(workers int) {
	web := max(6, workers+1)
	w.addDeployment(&owner{namespace: "shop", name: "web", replicas: web, labels: map[string]string{"app": "web"}, image: "sandbox.invalid/web:2.1", cpu: "100m", memory: "128Mi"})
	w.addDeployment(&owner{namespace: "shop", name: "api", replicas: 3, labels: map[string]string{"app": "api"}, image: "sandbox.invalid/api:5.0", cpu: "200m", memory: "256Mi"})
	w.addStatefulSet(&owner{namespace: "shop", name: "db", replicas: 3, labels: map[string]string{"app": "db"}, image: "sandbox.invalid/db:14.2", cpu: "250m", memory: "512Mi"})
	if workers < 2 {
		return // evicted pods have nowhere to go: a budget would close every drain for ever
	}
	w.addBudget("shop", "web", map[string]string{"app": "web"}, "minAvailable", web-max(2, web/4))
	w.addBudget("shop", "api", map[string]string{"app": "api"}, "maxUnavailable", 1)
	w.addBudget("shop", "db", map[string]string{"app": "db"}, "maxUnavailable", 1)
}

func (w *world) addBudget(namespace, name string, labels map[string]string, rule string, n int) {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: w.meta(namespace, name, nil)}
	b.Generation = 1
	b.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	number := intstr.FromInt32(int32(n))
	if rule == "minAvailable" {
		b.Spec.MinAvailable = &number
	} else {
		b.Spec.MaxUnavailable = &number
	}
	w.put("poddisruptionbudgets", b)
}

func podTemplate(o *owner) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: o.labels}}
	t.Spec.Containers = []corev1.Container{{Name: o.name, Image: o.image, Resources: requests(o.cpu, o.memory)}}
	if o.tolerates {
		t.Spec.Tolerations = []corev1.Toleration{{Key: controlPlaneLabel, Effect: corev1.TaintEffectNoSchedule}}
	}
	return t
}

// requests are what a container asks of its node; "" is nothing.
func requests(cpu, memory string) corev1.ResourceRequirements {
	list := corev1.ResourceList{}
	if cpu != "" {
		list[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		list[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	if len(list) == 0 {
		return corev1.ResourceRequirements{}
	}
	return corev1.ResourceRequirements{Requests: list}
}

func (w *world) addDeployment(o *owner) *appsv1.Deployment {
	replicas := int32(o.replicas)
	d := &appsv1.Deployment{ObjectMeta: w.meta(o.namespace, o.name, o.labels)}
	d.Spec = appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: o.labels}, Template: podTemplate(o)}
	w.put("deployments", d)

	controller := true
	rs := &appsv1.ReplicaSet{ObjectMeta: w.meta(o.namespace, o.name+"-"+w.suffix(9), o.labels)}
	rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name, UID: d.UID, Controller: &controller}}
	rs.Spec = appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: d.Spec.Selector, Template: d.Spec.Template}
	w.put("replicasets", rs)

	o.kind, o.name, o.uid = "ReplicaSet", rs.Name, rs.UID
	w.owners = append(w.owners, o)
	return d
}

func (w *world) addStatefulSet(o *owner) {
	replicas := int32(o.replicas)
	s := &appsv1.StatefulSet{ObjectMeta: w.meta(o.namespace, o.name, o.labels)}
	s.Spec = appsv1.StatefulSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: o.labels}, ServiceName: o.name, Template: podTemplate(o)}
	w.put("statefulsets", s)
	o.kind, o.uid = "StatefulSet", s.UID
	w.owners = append(w.owners, o)
}

func (w *world) addDaemonSet(o *owner) *appsv1.DaemonSet {
	o.kind, o.namespace, o.labels = "DaemonSet", "kube-system", map[string]string{"k8s-app": o.name}
	d := &appsv1.DaemonSet{ObjectMeta: w.meta(o.namespace, o.name, o.labels)}
	d.Spec = appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: o.labels}, Template: podTemplate(o)}
	d.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	w.put("daemonsets", d)
	o.uid = d.UID
	w.owners = append(w.owners, o)
	return d
}

// letters are those that Kubernetes makes names of: no vowels, nothing that looks like something else.
const letters = "bcdfghjklmnpqrstvwxz2456789"

func (w *world) suffix(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[w.dice.IntN(len(letters))]
	}
	return string(b)
}
