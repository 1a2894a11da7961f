package sandbox

import (
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An object is any object of the API.
type object interface {
	metav1.Object
	runtime.Object
}

// A table is one resource of the API: its name, what may be done with it, and its objects by namespace/name.
type table struct {
	group, version, plural, kind string
	namespaced                   bool
	verbs                        []string
	fresh                        func() object
	objects                      map[string]object
}

func (t *table) resource() schema.GroupResource {
	return schema.GroupResource{Group: t.group, Resource: t.plural}
}

// apiVersion is how objects name the group: "v1", "apps/v1".
func (t *table) apiVersion() string {
	return schema.GroupVersion{Group: t.group, Version: t.version}.String()
}

// name is where the table is found among the tables.
func (t *table) name() string { return tableName(t.group, t.plural) }

func (t *table) can(verb string) bool { return slices.Contains(t.verbs, verb) }

// sorted are the objects in the order in which an API server lists them: by namespace and name.
func (t *table) sorted() []object {
	all := make([]object, 0, len(t.objects))
	for _, k := range slices.Sorted(maps.Keys(t.objects)) {
		all = append(all, t.objects[k])
	}
	return all
}

func newTables() map[string]*table {
	read := []string{"get", "list"}
	write := []string{"get", "list", "create", "update", "patch", "delete"}
	const cluster, namespaced, webhooks = false, true, "admissionregistration.k8s.io"
	all := []*table{
		{"", "v1", "nodes", "Node", cluster, []string{"get", "list", "update", "patch"}, func() object { return &corev1.Node{} }, nil},
		{"", "v1", "pods", "Pod", namespaced, []string{"get", "list", "create", "delete"}, func() object { return &corev1.Pod{} }, nil},
		{"", "v1", "namespaces", "Namespace", cluster, read, func() object { return &corev1.Namespace{} }, nil},
		{"", "v1", "configmaps", "ConfigMap", namespaced, read, func() object { return &corev1.ConfigMap{} }, nil},
		{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", namespaced, read, func() object { return &corev1.PersistentVolumeClaim{} }, nil},
		{"", "v1", "persistentvolumes", "PersistentVolume", cluster, read, func() object { return &corev1.PersistentVolume{} }, nil},
		{"", "v1", "services", "Service", namespaced, read, func() object { return &corev1.Service{} }, nil},
		{"", "v1", "events", "Event", namespaced, write, func() object { return &corev1.Event{} }, nil},
		{"apps", "v1", "deployments", "Deployment", namespaced, read, func() object { return &appsv1.Deployment{} }, nil},
		{"apps", "v1", "replicasets", "ReplicaSet", namespaced, read, func() object { return &appsv1.ReplicaSet{} }, nil},
		{"apps", "v1", "statefulsets", "StatefulSet", namespaced, read, func() object { return &appsv1.StatefulSet{} }, nil},
		{"apps", "v1", "daemonsets", "DaemonSet", namespaced, read, func() object { return &appsv1.DaemonSet{} }, nil},
		{"batch", "v1", "jobs", "Job", namespaced, read, func() object { return &batchv1.Job{} }, nil},
		{webhooks, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", cluster, read, func() object { return &admissionv1.ValidatingWebhookConfiguration{} }, nil},
		{webhooks, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", cluster, read, func() object { return &admissionv1.MutatingWebhookConfiguration{} }, nil},
		{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", namespaced, write, func() object { return &policyv1.PodDisruptionBudget{} }, nil},
		{"coordination.k8s.io", "v1", "leases", "Lease", namespaced, write, func() object { return &coordinationv1.Lease{} }, nil},
		{"storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", cluster, read, func() object { return &storagev1.VolumeAttachment{} }, nil},
		{"events.k8s.io", "v1", "events", "Event", namespaced, write, func() object { return &eventsv1.Event{} }, nil},
	}
	tables := map[string]*table{}
	for _, t := range all {
		t.objects = map[string]object{}
		tables[tableName(t.group, t.plural)] = t
	}
	return tables
}

// tableName tells the two resources called events apart; every other is known by its plural alone.
func tableName(group, plural string) string {
	if group == "events.k8s.io" {
		return plural + "." + group
	}
	return plural
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// find returns an object, or nil.
func find[T object](w *world, plural, key string) T {
	o, _ := w.tables[plural].objects[key].(T)
	return o
}

// list returns the objects of a table in their order.
func list[T object](w *world, plural string) []T {
	var all []T
	for _, o := range w.tables[plural].sorted() {
		if t, ok := o.(T); ok {
			all = append(all, t)
		}
	}
	return all
}

// trimmed is a path without its slashes at the ends, in parts.
func trimmed(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }
