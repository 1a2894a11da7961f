package kube_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// calls are what the program asks of the API, by the names of the methods, with the names that it asks for.
func calls(c *kube.Client) map[string]func(ctx context.Context) {
	pod := kube.Pod{Namespace: "shop", Name: "cart", UID: "uid-cart", Node: "w1", Claims: []string{"data"}}
	other := kube.Pod{Namespace: "shop", Name: "cart-1", UID: "uid-cart-1", Node: "w1"}
	return map[string]func(context.Context){
		"Attachments":       func(ctx context.Context) { _, _ = c.Attachments(ctx, "") },
		"Budgets":           func(ctx context.Context) { _, _ = c.Budgets(ctx, "") },
		"PodsAndComplaints": func(ctx context.Context) { _, _, _ = c.PodsAndComplaints(ctx, "kube-system") },
		"ConfigData": func(ctx context.Context) {
			for _, name := range []string{"kubeadm-config", "kubelet-config", "coredns", "kube-proxy"} {
				_, _ = c.ConfigData(ctx, "kube-system", name)
			}
		},
		"Cordon":       func(ctx context.Context) { _ = c.Cordon(ctx, "w1", "r1/drain") },
		"Daemons":      func(ctx context.Context) { _, _ = c.Daemons(ctx, "w1") },
		"DeleteWithin": func(ctx context.Context) { _ = c.DeleteWithin(ctx, other, 1) },
		"Drivers":      func(ctx context.Context) { _, _ = c.Drivers(ctx) },
		"Evict":        func(ctx context.Context) { _ = c.Evict(ctx, pod) },
		"EvictWithin":  func(ctx context.Context) { _ = c.EvictWithin(ctx, pod, 1) },
		"Groups":       func(ctx context.Context) { _, _ = c.Groups(ctx) },
		"JobEnding":    func(ctx context.Context) { _, _ = c.JobEnding(ctx, "kube-system", "upgrade-health-check") },
		"Leader": func(ctx context.Context) {
			_, _ = c.Leader(ctx, "kube-scheduler")
			_, _ = c.Leader(ctx, "kube-controller-manager")
		},
		"Node":          func(ctx context.Context) { _, _ = c.Node(ctx, "w1") },
		"NodeLease":     func(ctx context.Context) { _, _ = c.NodeLease(ctx, "w1") },
		"Nodes":         func(ctx context.Context) { _, _ = c.Nodes(ctx) },
		"Pods":          func(ctx context.Context) { _, _ = c.Pods(ctx, kube.PodFilter{}) },
		"Reach":         func(ctx context.Context) { _, _ = c.Reach(ctx) },
		"Readyz":        func(ctx context.Context) { _ = c.Readyz(ctx) },
		"Rooms":         func(ctx context.Context) { _, _ = c.Rooms(ctx) },
		"ServerVersion": func(ctx context.Context) { _, _ = c.ServerVersion(ctx) },
		"TracksOf": func(ctx context.Context) {
			_, _ = c.TracksOf(ctx, "/apis/apps/v1", "namespaces", "kube-system", "deployments", "coredns")
			_, _ = c.TracksOf(ctx, "/apis/apps/v1", "namespaces", "kube-system", "daemonsets", "kube-proxy")
		},
		"Unavailable": func(ctx context.Context) { _, _ = c.Unavailable(ctx) },
		"UID":         func(ctx context.Context) { _, _ = c.UID(ctx) },
		"Uncordon":    func(ctx context.Context) { _ = c.Uncordon(ctx, "w1", "r1/drain") },
		"VolumesOf":   func(ctx context.Context) { _, _ = c.VolumesOf(ctx, pod) },
		"VolumesOn":   func(ctx context.Context) { _, _ = c.VolumesOn(ctx, []string{"rbd"}) },
		"Webhooks":    func(ctx context.Context) { _, _ = c.Webhooks(ctx) },
		"PlacedPods":  func(ctx context.Context) { _, _ = c.PlacedPods(ctx) },

		"Credentials": nil, "Login": nil, // who gives them is asked, and no API

		// No question of their own, or one that everybody may ask, or one whose resource the caller names.
		"Host": nil, "ReadOnly": nil, "Under": nil, "Missing": nil, "Tracks": nil,
	}
}

// TestRightsAreTheLeast proves that the table of rights has what every method of the client and the lock ask for, and
// nothing beside.
func TestRightsAreTheLeast(t *testing.T) {
	s := kubetest.New()
	s.SetNode(kube.Node{Name: "w1", Ready: true})
	s.SetPod(kube.Pod{Namespace: "shop", Name: "cart", UID: "uid-cart", Node: "w1"})
	s.SetPod(kube.Pod{Namespace: "shop", Name: "cart-1", UID: "uid-cart-1", Node: "w1"})
	s.Set(t, "/api/v1/persistentvolumes/local", `{"metadata": {"name": "local"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": []}}}}`)
	s.Set(t, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/policy",
		`{"metadata": {"name": "policy"}, "webhooks": [{"name": "policy", "clientConfig": {"service": {"namespace": "shop", "name": "policy"}}}]}`)
	c := s.Client(t, "r1")

	all := calls(c)
	for method := range reflect.TypeFor[*kube.Client]().Methods() {
		call, known := all[method.Name]
		if !known {
			t.Errorf("%s asks the API for something: name it in this test, and its right in Rights", method.Name)
		} else if call != nil {
			call(t.Context())
		}
	}
	lock := kube.NewLock(c, kube.Identity{Run: "r1"})
	if err := lock.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}

	var unused []string
	used := map[kube.Right]bool{}
	for _, request := range s.Requests() {
		method, path, _ := strings.Cut(request, " ")
		right, ok := kubetest.Covered(kube.Rights(), kubetest.RightOf(method, path))
		if !ok {
			t.Errorf("no right covers %s", request)
		}
		used[right] = true
	}
	for _, r := range kube.Rights() {
		if !used[r] {
			unused = append(unused, r.String())
		}
	}
	if len(unused) > 0 {
		t.Errorf("nothing needs the rights: %s", strings.Join(unused, "; "))
	}
}

// TestMissing takes each right away in turn: that one is told, also to a client that only reads, and no other.
func TestMissing(t *testing.T) {
	for _, r := range kube.Rights() {
		s := kubetest.New()
		s.Deny(r)
		missing, err := s.Client(t, "r1").ReadOnly().Missing(t.Context(), kube.Rights())
		if diff := cmp.Diff([]kube.Right{r}, missing); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", r, err, diff)
		}
	}
}
