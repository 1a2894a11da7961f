package oracle

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/eviction"
)

const (
	node          = "w1"   // the one that is drained
	goneDaemonSet = "gone" // the one that is not there, while its pods are
)

// A world is the pods of a cluster, and how its node w1 is to be drained.
type world struct {
	pods     []corev1.Pod
	settings eviction.Settings
}

func (w world) all(v verdict) answer {
	a := answer{}
	for _, p := range w.pods {
		a[name(p)] = v
	}
	return a
}

// worlds draws so many pods, with the most ordinary of everything first: that is where shrinking leads.
func worlds(least, most int) *rapid.Generator[world] {
	return rapid.Custom(func(t *rapid.T) world {
		w := world{
			pods: rapid.SliceOfN(rapid.Custom(pod), least, most).Draw(t, "pods"),
			settings: eviction.Settings{
				IgnoreDaemonSets: rapid.Bool().Draw(t, "ignoreDaemonSets"),
				DeleteEmptyDir:   rapid.Bool().Draw(t, "deleteEmptyDir"),
				Force:            rapid.Bool().Draw(t, "force"),
				PodSelector:      rapid.SampledFrom(selectors()).Draw(t, "podSelector"),
			},
		}
		for i := range w.pods {
			w.pods[i].Name = fmt.Sprintf("pod-%d", i)
			w.pods[i].UID = types.UID(fmt.Sprintf("uid-%d", i))
		}
		return w
	})
}

// selectors are mostly none, as in most drains.
func selectors() []string {
	return []string{"", "", "", "", "", "", "", "", "", "app", "!app", "app=web", "app==db", "app!=web", "app in (web,db)", "app notin (web)", "app=web,tier in (front,),!canary", "tier="}
}

// managed is a pod as most are.
func managed(name string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-of-" + name), OwnerReferences: owners()[0]},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

func pod(t *rapid.T) corev1.Pod {
	p := managed("")
	p.OwnerReferences = rapid.SampledFrom(owners()).Draw(t, "owners")
	p.Status.Phase = rapid.SampledFrom(phases()).Draw(t, "phase")
	p.Labels = rapid.MapOfN(rapid.SampledFrom([]string{"app", "tier", "canary"}), rapid.SampledFrom([]string{"web", "db", "front", ""}), 0, 3).Draw(t, "labels")
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(volumes())-1), 0, 2).Draw(t, "volumes") {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("v%d", len(p.Spec.Volumes)), VolumeSource: volumes()[i]})
	}
	if one(t, 8, "mirror") {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: rapid.SampledFrom([]string{"d0123456789", ""}).Draw(t, "hash")}
	}
	if one(t, 4, "held") {
		p.Finalizers = []string{"example.com/holds"}
	}
	if one(t, 4, "deleted") {
		grace := int64(30)
		if p.Finalizers != nil && one(t, 2, "let go") {
			grace = 0 // without a finalizer it would be gone
		}
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Unix(1e9, 0)}, &grace
	}
	if one(t, 4, "tolerates") {
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}
	if one(t, 16, "elsewhere") {
		p.Spec.NodeName = "w2"
	}
	return p
}

// one is true of one in so many.
func one(t *rapid.T, in int, label string) bool {
	return rapid.IntRange(0, in-1).Draw(t, label) == in-1
}

func phases() []corev1.PodPhase {
	return []corev1.PodPhase{corev1.PodRunning, corev1.PodRunning, corev1.PodPending, corev1.PodUnknown, corev1.PodSucceeded, corev1.PodFailed}
}

func owners() [][]metav1.OwnerReference {
	controls := func(version, kind, name string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: "uid", Controller: new(true)}
	}
	owns := func(r metav1.OwnerReference) metav1.OwnerReference { r.Controller = nil; return r }
	denies := func(r metav1.OwnerReference) metav1.OwnerReference { r.Controller = new(false); return r }
	replicas, daemon := controls("apps/v1", "ReplicaSet", "cart"), controls("apps/v1", "DaemonSet", "agent")
	return [][]metav1.OwnerReference{
		{replicas},
		{controls("apps/v1", "StatefulSet", "db")},
		{controls("batch/v1", "Job", "report")},
		{controls("example.com/v1alpha1", "Broker", "kafka")},
		nil,
		nil,
		{daemon},
		{daemon},
		{controls("apps/v1", "DaemonSet", goneDaemonSet)},
		{controls("apps.kruise.io/v1alpha1", "DaemonSet", "advanced")},
		{controls("v1", "Node", node)},
		{owns(replicas)},
		{denies(daemon)},
		{owns(daemon), replicas},
		{owns(replicas), denies(replicas), daemon},
	}
}

func volumes() []corev1.VolumeSource {
	return []corev1.VolumeSource{
		{ConfigMap: &corev1.ConfigMapVolumeSource{}},
		{Projected: &corev1.ProjectedVolumeSource{}},
		{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}},
		{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{}}},
		{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/x"}},
		{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}},
	}
}
