package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// reviews is where the API server tells what the one who asks may do. To ask changes nothing, although it is a POST.
const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// A Need is what a right is for.
type Need string

// The needs. Every command looks; a run and unlock lock; a plan that cordons or drains needs the rest, but the last: that only one whose
// waivers say so.
const (
	ToLook   Need = "look at the cluster"
	ToLock   Need = "lock the cluster"
	ToCordon Need = "cordon and uncordon nodes"
	ToDrain  Need = "drain nodes"
	ToDelete Need = "delete pods past their budgets"
)

// A Right is one thing that the API can let somebody do.
type Right struct {
	Need      Need
	Verb      string
	Group     string // empty: the core group
	Resource  string // with its subresource: "pods/eviction"
	Namespace string // empty: in all, or the resource has none
	Name      string // empty: all of them
	Path      string // in place of all these but Verb: what is no resource, such as /version
}

// String is the right as `kubectl auth can-i` would be asked for it: "get configmaps/kubeadm-config -n kube-system".
func (r Right) String() string {
	if r.Path != "" {
		return r.Verb + " " + r.Path
	}
	words := r.Verb + " " + r.Resource
	if r.Group != "" {
		resource, sub, _ := strings.Cut(r.Resource, "/")
		words = r.Verb + " " + resource + "." + r.Group
		if sub != "" {
			words += "/" + sub
		}
	}
	if r.Name != "" {
		words += "/" + r.Name
	}
	if r.Namespace != "" {
		words += " -n " + r.Namespace
	}
	return words
}

// Rights are everything that a Client may ask of the API, but for Tracks, whose resources the caller names.
func Rights() []Right {
	system := metav1.NamespaceSystem
	all := []Right{
		{Need: ToLook, Verb: "get", Path: "/api"},
		{Need: ToLook, Verb: "get", Path: "/apis"},
		{Need: ToLook, Verb: "get", Path: "/readyz"},
		{Need: ToLook, Verb: "get", Path: "/version"},
		{Need: ToLook, Verb: "get", Resource: "namespaces", Name: system},
		{Need: ToLook, Verb: "list", Resource: "namespaces"},
		{Need: ToLook, Verb: "get", Resource: "nodes"},
		{Need: ToLook, Verb: "list", Resource: "nodes"},
		{Need: ToLook, Verb: "list", Resource: "pods"},
		{Need: ToLook, Verb: "get", Resource: "services"}, // of webhooks
		{Need: ToLook, Verb: "list", Resource: "persistentvolumes"},
		{Need: ToLook, Verb: "list", Resource: "persistentvolumeclaims"},
		{Need: ToLook, Verb: "list", Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"},
		{Need: ToLook, Verb: "list", Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations"},
		{Need: ToLook, Verb: "list", Group: "apiregistration.k8s.io", Resource: "apiservices"},
		{Need: ToLook, Verb: "list", Group: "policy", Resource: "poddisruptionbudgets"},
		{Need: ToLook, Verb: "list", Group: "storage.k8s.io", Resource: "csidrivers"},
		{Need: ToLook, Verb: "list", Group: "storage.k8s.io", Resource: "volumeattachments"},
		{Need: ToLook, Verb: "get", Group: "apps", Resource: "deployments", Namespace: system, Name: "coredns"},
		{Need: ToLook, Verb: "get", Group: "apps", Resource: "daemonsets", Namespace: system, Name: "kube-proxy"},
		{Need: ToLook, Verb: "get", Group: "batch", Resource: "jobs", Namespace: system, Name: "upgrade-health-check"},
		{Need: ToLook, Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: "kube-node-lease"},
		{Need: ToLook, Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: system, Name: "kube-controller-manager"},
		{Need: ToLook, Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: system, Name: "kube-scheduler"},
		{Need: ToLook, Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: lockNamespace, Name: lockName}, // who has the lock

		{Need: ToLock, Verb: "create", Group: "coordination.k8s.io", Resource: "leases", Namespace: lockNamespace}, // no name: a new object has none yet
		{Need: ToLock, Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: lockNamespace, Name: lockName},

		{Need: ToCordon, Verb: "patch", Resource: "nodes"},

		{Need: ToDrain, Verb: "get", Resource: "pods"},
		{Need: ToDrain, Verb: "create", Resource: "pods/eviction"},
		{Need: ToDrain, Verb: "get", Resource: "persistentvolumeclaims"},

		{Need: ToDelete, Verb: "delete", Resource: "pods"},
	}
	for _, name := range []string{"coredns", "kube-proxy", "kubeadm-config", "kubelet-config"} {
		all = append(all, Right{Need: ToLook, Verb: "get", Resource: "configmaps", Namespace: system, Name: name})
	}
	return all
}

// Missing asks the API server which of these rights the user of the kubeconfig lacks. An error says that it does not tell.
func (c *Client) Missing(ctx context.Context, rights []Right) ([]Right, error) {
	has, errs := make([]bool, len(rights)), make([]error, len(rights))
	var asking sync.WaitGroup
	for i, r := range rights {
		asking.Go(func() { has[i], errs[i] = c.may(ctx, r) })
	}
	asking.Wait()
	var missing []Right
	for i, r := range rights {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if !has[i] {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

func (c *Client) may(ctx context.Context, r Right) (bool, error) {
	body, err := json.Marshal(r.review())
	if err != nil {
		return false, fmt.Errorf("encoding a question about rights: %w", err)
	}
	var answer authorizationv1.SelfSubjectAccessReview
	err = c.read(ctx, "whether it is allowed to "+r.String(), func() *rest.Request {
		return c.rest.Post().AbsPath(reviews).SetHeader("Content-Type", "application/json").Body(body)
	}, decode(&answer))
	return answer.Status.Allowed, err
}

func (r Right) review() *authorizationv1.SelfSubjectAccessReview {
	review := &authorizationv1.SelfSubjectAccessReview{TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}}
	if r.Path != "" {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: r.Verb, Path: r.Path}
		return review
	}
	resource, sub, _ := strings.Cut(r.Resource, "/")
	namespace := r.Namespace
	if r.Resource == "namespaces" {
		namespace = cmp.Or(r.Name, namespace) // a namespace counts as being in itself
	}
	review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: sub, Namespace: namespace, Name: r.Name,
	}
	return review
}
