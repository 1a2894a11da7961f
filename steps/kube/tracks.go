package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/engine/printable"
)

// lastApplied is where `kubectl apply` keeps the object as it was given, in the API version that it was given in.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// metadataOnly asks for the metadata of the objects of a list and nothing else of them.
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json"

// A Track is what somebody left on an object by writing it.
type Track struct {
	Object     string // namespace/name, or the name
	Manager    string // who: "kubectl-client-side-apply", "kubeadm"; empty for the last applied configuration
	APIVersion string // the version that was written: "policy/v1beta1"
	When       time.Time
	Fields     []string // what of the object is theirs, as paths: "spec.template.spec.containers[coredns].image"
}

// Groups returns the API groups that are served, each with its versions, the preferred one first.
func (c *Client) Groups(ctx context.Context) (map[string][]string, error) {
	raw, err := c.raw(ctx, "the API groups", "/apis")
	if err != nil {
		return nil, err
	}
	var list metav1.APIGroupList
	if err := printable.JSON(raw, &list); err != nil {
		return nil, fmt.Errorf("reading the API groups: %s does not answer as an API server: %w", c.Host(), err)
	}
	groups := map[string][]string{}
	for _, g := range list.Groups {
		groups[g.Name] = []string{g.PreferredVersion.Version}
		for _, v := range g.Versions {
			if v.Version != g.PreferredVersion.Version {
				groups[g.Name] = append(groups[g.Name], v.Version)
			}
		}
	}
	return groups, nil
}

// Tracks returns what was left on every object of a resource, read in this version of its group. A resource that the
// version does not have has none.
func (c *Client) Tracks(ctx context.Context, group, version, resource string) ([]Track, error) {
	objects, err := pages[metav1.PartialObjectMetadata](ctx, c, "who wrote the "+resource, "/apis", group, version, resource)
	var all []Track
	for i := range objects {
		all = append(all, tracks(&objects[i].ObjectMeta)...)
	}
	return all, err
}

// pages reads a list as plain JSON, its metadata only where the server can leave out the rest. What is not served has no
// objects.
func pages[T any](ctx context.Context, c *Client, what string, path ...string) ([]T, error) {
	q := query{what: what, path: path}
	if _, metadata := any([]T(nil)).([]metav1.PartialObjectMetadata); metadata {
		q.accept = metadataOnly
	}
	all, err := paged(ctx, c, q, func(r rest.Result) ([]T, string, error) {
		var page struct {
			Metadata metav1.ListMeta `json:"metadata"`
			Items    []T             `json:"items"`
		}
		err := decode(&page)(r)
		return page.Items, page.Metadata.Continue, err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return all, err
}

// A persistentVolume is one with the fields of its spec by their names: one of them is called like its volume plugin.
type persistentVolume struct {
	Metadata metav1.ObjectMeta          `json:"metadata"`
	Spec     map[string]json.RawMessage `json:"spec"`
}

// VolumesOn returns the names of the persistent volumes that use one of these volume plugins, such as "cephfs", by plugin.
func (c *Client) VolumesOn(ctx context.Context, plugins []string) (map[string][]string, error) {
	volumes, err := pages[persistentVolume](ctx, c, "the persistent volumes", core, "persistentvolumes")
	used := map[string][]string{}
	for _, v := range volumes {
		for _, p := range plugins {
			if _, uses := v.Spec[p]; uses {
				used[p] = append(used[p], v.Metadata.Name)
			}
		}
	}
	return used, err
}

// Drivers returns the names of the CSI drivers that are installed.
func (c *Client) Drivers(ctx context.Context) ([]string, error) {
	objects, err := pages[metav1.PartialObjectMetadata](ctx, c, "the CSI drivers", storage, "csidrivers")
	var names []string
	for i := range objects {
		names = append(names, objects[i].Name)
	}
	return names, err
}

// TracksOf returns what was left on one object; ErrNotFound if it is not there.
func (c *Client) TracksOf(ctx context.Context, path ...string) ([]Track, error) {
	var object metav1.PartialObjectMetadata
	what := "who wrote " + strings.Join(path[max(0, len(path)-2):], " ")
	err := c.read(ctx, what, func() *rest.Request { return c.rest.Get().AbsPath(path...) }, decode(&object))
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return tracks(&object.ObjectMeta), nil
}

// decode reads an answer as plain JSON, whatever kinds the client knows.
func decode(into any) func(rest.Result) error {
	return func(r rest.Result) error {
		raw, err := r.Raw()
		if err != nil {
			return err
		}
		return printable.JSON(raw, into, "Annotations")
	}
}

func tracks(m *metav1.ObjectMeta) []Track {
	object := m.Name
	if m.Namespace != "" {
		object = m.Namespace + "/" + m.Name
	}
	var all []Track
	for _, f := range m.ManagedFields {
		t := Track{Object: object, Manager: f.Manager, APIVersion: f.APIVersion}
		if f.Time != nil {
			t.When = f.Time.Time
		}
		if f.FieldsV1 != nil && f.Subresource == "" {
			t.Fields = paths(f.FieldsV1.GetRawBytes())
		}
		all = append(all, t)
	}
	var applied struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := printable.JSON([]byte(m.Annotations[lastApplied]), &applied); err == nil && applied.APIVersion != "" {
		all = append(all, Track{Object: object, APIVersion: applied.APIVersion})
	}
	return all
}

// longestPath is how far down a set of fields is read, in bytes of the path. No field of the objects that are looked at is
// called by more; a set made to be large would cost its size squared.
const longestPath = 512

// paths writes a set of fields (structured-merge-diff's FieldsV1) as the paths of its leaves, sorted.
func paths(fieldsV1 []byte) []string {
	var tree map[string]any
	if err := printable.JSON(fieldsV1, &tree); err != nil {
		return nil
	}
	all := leaves(nil, "", tree)
	slices.Sort(all)
	return all
}

// leaves appends the paths of a set's leaves.
func leaves(all []string, path string, tree map[string]any) []string {
	for key, below := range tree {
		if key == "." {
			continue
		}
		name := field(key)
		if path != "" && !strings.HasPrefix(name, "[") {
			name = "." + name
		}
		name = path + name
		deeper, _ := below.(map[string]any)
		if _, alone := deeper["."]; len(deeper) == 0 || len(deeper) == 1 && alone || len(name) > longestPath {
			all = append(all, printable.Cut(name, longestPath))
			continue
		}
		all = leaves(all, name, deeper)
	}
	return all
}

// field writes one key of a set: f:spec is a field, k:{"name":"coredns"} an item of a list, v:"x" an item of a set.
func field(key string) string {
	kind, rest, _ := strings.Cut(key, ":")
	switch kind {
	case "k":
		var keys map[string]any
		if err := printable.JSON([]byte(rest), &keys); err == nil {
			if name, ok := keys["name"].(string); ok {
				return "[" + name + "]"
			}
		}
		return "[" + strings.Trim(rest, "{}") + "]"
	case "v":
		return "[" + rest + "]"
	}
	return rest
}

// errNoAddress says that an API server answered, but not with its own address.
var errNoAddress = errors.New("its answer names no address")

// Reach makes a new connection to the API, as a new client would, and returns the address of the API server that
// answered, behind whatever balances the load: "10.0.0.11:6443".
func (c *Client) Reach(ctx context.Context) (string, error) {
	transport, err := c.fresh()
	if err != nil {
		return "", err
	}
	defer transport.CloseIdleConnections()
	raw, err := transport.get(ctx, c.rest.Get().AbsPath("/api").URL().String())
	if err != nil {
		return "", printable.Error(err)
	}
	var versions metav1.APIVersions
	if err := printable.JSON(raw, &versions); err != nil || len(versions.ServerAddressByClientCIDRs) == 0 {
		return "", errNoAddress
	}
	return printable.Line(versions.ServerAddressByClientCIDRs[0].ServerAddress, printable.Word), nil
}
