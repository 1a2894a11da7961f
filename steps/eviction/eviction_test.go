package eviction_test

import (
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/kube"
)

// Every kind of pod under the settings of the shipped plans, and under those that let more go.
func TestJudge(t *testing.T) {
	shipped := eviction.Settings{IgnoreDaemonSets: true, DeleteEmptyDir: true}
	strict := eviction.Settings{IgnoreDaemonSets: true}
	for _, tt := range []struct {
		name string
		with eviction.Settings
		pod  kube.Pod
		fate eviction.Fate
		why  eviction.Reason
	}{
		{"managed", strict, kube.Pod{OwnerKind: "ReplicaSet"}, eviction.Goes, 0},
		{"a DaemonSet's", shipped, kube.Pod{OwnerKind: "DaemonSet", EmptyDir: true}, eviction.Stays, 0},
		{"a DaemonSet's that is not to be left", eviction.Settings{}, kube.Pod{OwnerKind: "DaemonSet"}, eviction.Refused, eviction.OfDaemonSet},
		{"a DaemonSet's that has ended", strict, kube.Pod{OwnerKind: "DaemonSet", Finished: true}, eviction.Goes, 0},
		{"a DaemonSet's on its way out", strict, kube.Pod{OwnerKind: "DaemonSet", Terminating: true}, eviction.Stays, 0},
		{"static", eviction.Settings{}, kube.Pod{Mirror: true, EmptyDir: true}, eviction.Stays, 0},
		{"with data", strict, kube.Pod{OwnerKind: "ReplicaSet", EmptyDir: true}, eviction.Refused, eviction.WithData},
		{"with data that may be lost", shipped, kube.Pod{OwnerKind: "ReplicaSet", EmptyDir: true}, eviction.Goes, 0},
		{"with data and unmanaged", strict, kube.Pod{EmptyDir: true}, eviction.Refused, eviction.WithData},
		{"unmanaged", shipped, kube.Pod{}, eviction.Refused, eviction.Unmanaged},
		{"unmanaged and forced", eviction.Settings{Force: true}, kube.Pod{}, eviction.Goes, 0},
		{"unmanaged, and has ended", strict, kube.Pod{Finished: true, EmptyDir: true}, eviction.Goes, 0},
		{"on its way out", strict, kube.Pod{Terminating: true, EmptyDir: true}, eviction.Passes, 0},
		{"has ended, and waits for a finalizer", strict, kube.Pod{Terminating: true, Finished: true}, eviction.Stays, 0},
		{"has ended, and its volumes are being unmounted", strict, kube.Pod{Terminating: true, Finished: true, Grace: 30 * time.Second}, eviction.Passes, 0},
		{"a DaemonSet's that is being unmounted", strict, kube.Pod{OwnerKind: "DaemonSet", Terminating: true, Finished: true, Grace: 30 * time.Second}, eviction.Passes, 0},
		{"selected", eviction.Settings{PodSelector: "app in (a,b)"}, kube.Pod{OwnerKind: "Job", Labels: map[string]string{"app": "b"}}, eviction.Goes, 0},
		{"not selected", eviction.Settings{PodSelector: "app in (a,b)"}, kube.Pod{}, eviction.Stays, 0},
	} {
		rules, err := tt.with.Rules()
		if err != nil {
			t.Fatal(err)
		}
		if fate, why := rules.Judge(tt.pod); fate != tt.fate || why != tt.why {
			t.Errorf("%s: %d %q, want %d %q", tt.name, fate, why, tt.fate, tt.why)
		}
	}
}

// A setting that cannot be meant is refused with its name, and the others are not.
func TestValidate(t *testing.T) {
	for want, s := range map[string]eviction.Settings{
		"":                          {GracePeriod: time.Second, PodSelector: "a!=b"},
		"gracePeriod is -1s; give ": {GracePeriod: -time.Second},
		`podSelector: "a in (" is`:  {PodSelector: "a in ("},
	} {
		err := s.Validate()
		if (want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// A grace period of the plan goes before a pod's own.
func TestGrace(t *testing.T) {
	own := kube.Pod{Grace: time.Minute}
	if got := (&eviction.Settings{}).Grace(own); got != time.Minute {
		t.Error(got)
	}
	if got := (&eviction.Settings{GracePeriod: time.Second}).Grace(own); got != time.Second {
		t.Error(got)
	}
}

// What the API server would answer, by the numbers of a budget (eviction.go, canIgnorePDB and checkAndDecrement).
func TestRefuses(t *testing.T) {
	ready := kube.Pod{Phase: "Running", Ready: true}
	unready := kube.Pod{Phase: "Running"}
	for _, tt := range []struct {
		name   string
		budget kube.Budget
		pod    kube.Pod
		want   bool
	}{
		{"allows one", kube.Budget{Allowed: 1}, ready, false},
		{"allows none", kube.Budget{Healthy: 1, Desired: 1}, ready, true},
		{"is not counted yet", kube.Budget{Allowed: 1, Pending: true}, ready, true},
		{"is not asked for one that waits for a node", kube.Budget{}, kube.Pod{Phase: "Pending"}, false},
		{"is not asked for one that has ended", kube.Budget{}, kube.Pod{Phase: "Succeeded", Finished: true}, false},
		{"is not asked for one that goes already", kube.Budget{}, kube.Pod{Phase: "Running", Ready: true, Terminating: true}, false},
		{"is asked for one whose node is silent", kube.Budget{}, kube.Pod{Phase: "Unknown"}, true},
		{"lets one go that is not Ready while the others suffice", kube.Budget{Healthy: 2, Desired: 2, Pending: true}, unready, false},
		{"keeps one that is not Ready while they do not", kube.Budget{Healthy: 1, Desired: 2}, unready, true},
		{"wants nobody, and keeps one that is not Ready", kube.Budget{}, unready, true},
		{"lets any go that is not Ready", kube.Budget{Desired: 2, UnreadyMayGo: true}, unready, false},
	} {
		if got := eviction.Refuses(tt.budget, tt.pod); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// The budgets over a pod are those of its namespace that select it, by name, and none for a pod that they are not asked about.
func TestOver(t *testing.T) {
	budget := func(namespace, name, app string) kube.Budget {
		return kube.Budget{Namespace: namespace, Name: name, Selects: func(set map[string]string) bool { return set["app"] == app }}
	}
	all := eviction.NewBudgets([]kube.Budget{budget("shop", "b", "cart"), budget("other", "c", "cart"), budget("shop", "a", "cart"), budget("shop", "d", "web")})
	pod := kube.Pod{Namespace: "shop", Labels: map[string]string{"app": "cart"}, Phase: "Running"}
	if over := all.Over(pod); len(over) != 2 || over[0].Name != "a" || over[1].Name != "b" {
		t.Errorf("%v", over)
	}
	pod.Phase = "Pending"
	if over := all.Over(pod); len(over) != 0 {
		t.Errorf("%v", over)
	}
}
