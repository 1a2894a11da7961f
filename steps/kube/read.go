package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/engine/printable"
)

const (
	core         = "/api/v1"
	batch        = "/apis/batch/v1"
	coordination = "/apis/coordination.k8s.io/v1"
	policy       = "/apis/policy/v1"
	storage      = "/apis/storage.k8s.io/v1"
)

// Nodes returns every node of the cluster, by name.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	nodes, err := list(ctx, c, query{what: "the nodes", path: []string{core, "nodes"}},
		func(l *corev1.NodeList) []Node { return convert(l.Items, toNode) })
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, err
}

// Node returns one node; ErrNotFound if the cluster has none of that name.
func (c *Client) Node(ctx context.Context, name string) (Node, error) {
	object := &corev1.Node{}
	if err := c.get(ctx, "node "+name, object, core, "nodes", name); err != nil {
		return Node{}, err
	}
	return toNode(object), nil
}

// Pods returns the pods that match the filter, by namespace and name.
func (c *Client) Pods(ctx context.Context, f PodFilter) ([]Pod, error) {
	q := query{what: "the pods", path: namespaced(core, f.Namespace, "pods"), labels: f.Labels}
	if f.Node != "" {
		q.what = "the pods of node " + f.Node
		q.fields = "spec.nodeName=" + f.Node
	}
	pods, err := list(ctx, c, q, func(l *corev1.PodList) []Pod { return convert(l.Items, toPod) })
	slices.SortFunc(pods, func(a, b Pod) int { return strings.Compare(a.String(), b.String()) })
	return pods, err
}

// Budgets returns the PodDisruptionBudgets of a namespace, or of all if it is empty.
func (c *Client) Budgets(ctx context.Context, namespace string) ([]Budget, error) {
	q := query{what: "the PodDisruptionBudgets", path: namespaced(policy, namespace, "poddisruptionbudgets")}
	return list(ctx, c, q, func(l *policyv1.PodDisruptionBudgetList) []Budget { return convert(l.Items, toBudget) })
}

// Attachments returns the volume attachments of a node, or of all nodes if it is empty, by name; those of nodes that are
// gone too.
func (c *Client) Attachments(ctx context.Context, node string) ([]Attachment, error) {
	q := query{what: "the volume attachments", path: []string{storage, "volumeattachments"}}
	all, err := list(ctx, c, q, func(l *storagev1.VolumeAttachmentList) []Attachment { return convert(l.Items, toAttachment) })
	all = slices.DeleteFunc(all, func(a Attachment) bool { return node != "" && a.Node != node })
	slices.SortFunc(all, func(a, b Attachment) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// VolumesOf returns the names of the persistent volumes behind a pod's claims; a claim that is gone or not bound has
// none.
func (c *Client) VolumesOf(ctx context.Context, p Pod) ([]string, error) {
	var volumes []string
	for _, name := range p.Claims {
		claim := &corev1.PersistentVolumeClaim{}
		err := c.get(ctx, "claim "+p.Namespace+"/"+name, claim, core, "namespaces", p.Namespace, "persistentvolumeclaims", name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if claim.Spec.VolumeName != "" {
			volumes = append(volumes, claim.Spec.VolumeName)
		}
	}
	return volumes, nil
}

// NodeLease returns when the kubelet of a node last renewed its lease, by the node's own clock.
func (c *Client) NodeLease(ctx context.Context, node string) (time.Time, error) {
	l, err := c.getLease(ctx, "the lease of node "+node, corev1.NamespaceNodeLease, node)
	return l.renewed, err
}

// A Leader is who leads a component of which one instance works at a time.
type Leader struct {
	Name    string        // of the instance, such as cp1_<uuid>; empty: it gave up and nobody has followed yet
	Renewed time.Time     // when it last said so, by its own clock
	Lasts   time.Duration // how long after that the others wait
}

// Leader returns who leads a component, such as kube-scheduler, by the lease of that name in kube-system; ErrNotFound if
// there is none.
func (c *Client) Leader(ctx context.Context, component string) (Leader, error) {
	l, err := c.getLease(ctx, "the lease of "+component, metav1.NamespaceSystem, component)
	return Leader{Name: l.identity, Renewed: l.renewed, Lasts: l.duration}, err
}

// ConfigData returns the data of a ConfigMap; ErrNotFound if there is none of that name.
func (c *Client) ConfigData(ctx context.Context, namespace, name string) (map[string]string, error) {
	object := &corev1.ConfigMap{}
	if err := c.get(ctx, "ConfigMap "+namespace+"/"+name, object, core, "namespaces", namespace, "configmaps", name); err != nil {
		return nil, err
	}
	return object.Data, nil
}

// JobEnding says whether a Job is there that is being removed: until it is gone nobody can make another of its name.
func (c *Client) JobEnding(ctx context.Context, namespace, name string) (bool, error) {
	object := &batchv1.Job{}
	err := c.get(ctx, "Job "+namespace+"/"+name, object, batch, "namespaces", namespace, "jobs", name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return object.DeletionTimestamp != nil, err
}

// UID identifies the cluster: the UID of its namespace kube-system, which lives as long as the cluster does.
func (c *Client) UID(ctx context.Context) (string, error) {
	object := &corev1.Namespace{}
	if err := c.get(ctx, "namespace kube-system", object, core, "namespaces", metav1.NamespaceSystem); err != nil {
		return "", err
	}
	return string(object.UID), nil
}

// ServerVersion returns the version of the API server that answered, without the v ("1.28.15").
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	raw, err := c.raw(ctx, "the server's version", "/version")
	if err != nil {
		return "", err
	}
	var info version.Info
	if err := printable.JSON(raw, &info); err != nil {
		return "", fmt.Errorf("reading the server's version: %s does not answer as an API server: %w", c.Host(), err)
	}
	return printable.Line(strings.TrimPrefix(info.GitVersion, "v"), printable.Word), nil
}

// Readyz returns nil if an API server answers that it is ready; the error has its words.
func (c *Client) Readyz(ctx context.Context) error {
	_, err := c.raw(ctx, "the API server's readiness", "/readyz")
	return err
}

// get reads one object by its path; ErrNotFound if it is not there.
func (c *Client) get(ctx context.Context, what string, object runtime.Object, path ...string) error {
	return asNotFound(what, c.read(ctx, what, func() *rest.Request { return c.rest.Get().AbsPath(path...) }, into(object)))
}

// asNotFound is ErrNotFound where the server has no such object, else the error that it is.
func asNotFound(what string, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}

// raw reads what is not an object of the API.
func (c *Client) raw(ctx context.Context, what, path string) (body []byte, err error) {
	err = c.read(ctx, what, func() *rest.Request { return c.rest.Get().AbsPath(path) }, func(r rest.Result) error {
		body, err = r.Raw()
		return err
	})
	return body, err
}

// list reads a list of objects. Lists are read from the quorum, never from a server's cache.
func list[L any, P interface {
	*L
	runtime.Object
	GetContinue() string
}, T any](ctx context.Context, c *Client, q query, take func(P) []T) ([]T, error) {
	return paged(ctx, c, q, func(r rest.Result) ([]T, string, error) {
		page := P(new(L)) // a new one each: decoding into a used one would keep what the answer leaves out
		if err := into(page)(r); err != nil {
			return nil, "", err
		}
		return take(page), page.GetContinue(), nil
	})
}

func namespaced(group, namespace, resource string) []string {
	if namespace == "" {
		return []string{group, resource}
	}
	return []string{group, "namespaces", namespace, resource}
}

func convert[From, To any](items []From, to func(*From) To) []To {
	out := make([]To, len(items))
	for i := range items {
		out[i] = to(&items[i])
	}
	return out
}
