package oracle

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"upgrader.dev/upgrader/steps/eviction"
)

// A difference is a kind of pod with which a drain here does not do as kubectl, and means it.
type difference struct {
	pod     string
	is      func(corev1.Pod, eviction.Settings) bool
	kubectl []verdict // all that kubectl says of such pods
	here    verdict
	why     string
}

// gone is kubectl's words for a DaemonSet that is not there.
const gone verdict = `daemonsets.apps "` + goneDaemonSet + `" not found`

// differences are all that are meant. The first one that fits counts. A pod that kubectl leaves alone is in none of them: it is left
// alone here too.
func differences() []difference {
	data, daemon, bare := verdict(eviction.WithData.String()), verdict(eviction.OfDaemonSet.String()), verdict(eviction.Unmanaged.String())
	return []difference{
		{"static, and a DaemonSet's by its owner", mirror,
			[]verdict{daemon, gone}, stays,
			"an eviction takes away its image in the API and not the pod, whoever is said to own it; nobody makes such a pod by a DaemonSet"},
		{"has ended, and only a finalizer holds it", both(ended, letGo),
			[]verdict{goes}, stays,
			"nothing of it is left on the node, and a second deletion changes nothing; kubectl waits until somebody takes the finalizer away"},
		{"of a DaemonSet that is gone, where DaemonSets' pods are left", both(ofGone, ignored),
			[]verdict{gone, goes, data}, stays,
			"the garbage collector ends it sooner or later, and nobody needs it gone; a drain needs no right to read DaemonSets"},
		{"of another API group's DaemonSet, where DaemonSets' pods are left", both(ofOther, ignored),
			[]verdict{goes, data}, stays,
			"it does what a DaemonSet does, one for each node in spite of a cordon: the pod would be back at once"},
		{"on its way out", deleted,
			[]verdict{goes, daemon, data, bare, gone}, waits,
			"it is deleted already: what it keeps is lost and nobody can save it, so that there is nothing to refuse and nothing to ask for"},
		{"of a DaemonSet that is gone, where DaemonSets' pods are an error", ofGone,
			[]verdict{gone, goes, data}, daemon,
			"refused as kubectl does without --force, in words that name the way out"},
		{"of another API group's DaemonSet, where DaemonSets' pods are an error", ofOther,
			[]verdict{goes, data}, daemon,
			"it would be placed here again, as one of a DaemonSet"},
	}
}

// expected is what is to become of a pod here when kubectl says what it says, by which row of the table; -1: as kubectl says.
func expected(p corev1.Pod, s eviction.Settings, kubectl verdict) (verdict, int) {
	if kubectl == stays {
		return stays, -1
	}
	row := slices.IndexFunc(differences(), func(d difference) bool { return d.is(p, s) })
	if row < 0 {
		return kubectl, row
	}
	return differences()[row].here, row
}

type trait = func(corev1.Pod, eviction.Settings) bool

func both(a, b trait) trait {
	return func(p corev1.Pod, s eviction.Settings) bool { return a(p, s) && b(p, s) }
}

func deleted(p corev1.Pod, _ eviction.Settings) bool { return p.DeletionTimestamp != nil }
func ignored(_ corev1.Pod, s eviction.Settings) bool { return s.IgnoreDaemonSets }

// letGo is of a pod whose kubelet has deleted it for good: without grace, with which the API keeps it for its finalizers alone.
func letGo(p corev1.Pod, _ eviction.Settings) bool {
	return p.DeletionTimestamp != nil && *p.DeletionGracePeriodSeconds == 0
}

func ended(p corev1.Pod, _ eviction.Settings) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func mirror(p corev1.Pod, _ eviction.Settings) bool {
	_, ok := p.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

func ofGone(p corev1.Pod, s eviction.Settings) bool {
	owner := metav1.GetControllerOf(&p)
	return owner != nil && owner.Name == goneDaemonSet && !ended(p, s)
}

func ofOther(p corev1.Pod, s eviction.Settings) bool {
	owner := metav1.GetControllerOf(&p)
	return owner != nil && owner.Kind == "DaemonSet" && owner.APIVersion != "apps/v1" && !ended(p, s)
}
