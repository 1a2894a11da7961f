package kube_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/kube"
)

// A hostileAPI answers with objects in which every text is hostile, but for the few words without which nobody would look
// at the rest.
type hostileAPI struct {
	text string
	code int // of every answer; 0: 200
}

func (h hostileAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	code, body := http.StatusOK, h.object(r.URL.Path)
	if h.code != 0 {
		code, body = h.code, h.status()
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

func (h hostileAPI) status() *metav1.Status {
	s := &metav1.Status{}
	hostile.Fill(s, h.text)
	s.Kind, s.APIVersion, s.Status, s.Code, s.Continue = "Status", "v1", metav1.StatusFailure, int32(h.code), ""
	s.Details.RetryAfterSeconds = 0
	s.Details.Causes[0].Type = policyv1.DisruptionBudgetCause
	return s
}

// object makes what a path asks for: the one of that name, or a list of one.
func (h hostileAPI) object(path string) any {
	words := strings.Split(path, "/")
	last := words[len(words)-1]
	switch {
	case last == "version":
		return fill(h.text, &version.Info{})
	case last == "apis":
		return fill(h.text, &metav1.APIGroupList{})
	case last == "api":
		return fill(h.text, &metav1.APIVersions{})
	case last == "nodes":
		return &corev1.NodeList{Items: []corev1.Node{*h.node()}}
	case words[len(words)-2] == "nodes":
		return h.node()
	case last == "pods":
		return &corev1.PodList{Items: []corev1.Pod{*h.pod()}}
	case last == "poddisruptionbudgets":
		b := fill(h.text, &policyv1.PodDisruptionBudget{})
		failed := &b.Status.Conditions[0] // its message is shown
		failed.Type, failed.Status, failed.Reason = policyv1.DisruptionAllowedCondition, metav1.ConditionFalse, policyv1.SyncFailedReason
		return &policyv1.PodDisruptionBudgetList{Items: []policyv1.PodDisruptionBudget{*b}}
	case last == "volumeattachments":
		a := fill(h.text, &storagev1.VolumeAttachment{})
		a.Spec.NodeName, a.Spec.Source.InlineVolumeSpec = "w1", nil
		return &storagev1.VolumeAttachmentList{Items: []storagev1.VolumeAttachment{*a}}
	case last == "persistentvolumes":
		return &corev1.PersistentVolumeList{Items: []corev1.PersistentVolume{*fill(h.text, &corev1.PersistentVolume{})}}
	case last == "persistentvolumeclaims":
		return &corev1.PersistentVolumeClaimList{Items: []corev1.PersistentVolumeClaim{*fill(h.text, &corev1.PersistentVolumeClaim{})}}
	case words[len(words)-2] == "persistentvolumeclaims":
		return fill(h.text, &corev1.PersistentVolumeClaim{})
	case last == "namespaces":
		return &corev1.NamespaceList{Items: []corev1.Namespace{*fill(h.text, &corev1.Namespace{})}}
	case words[len(words)-2] == "namespaces":
		return fill(h.text, &corev1.Namespace{})
	case words[len(words)-2] == "configmaps":
		return fill(h.text, &corev1.ConfigMap{})
	case words[len(words)-2] == "services":
		return fill(h.text, &corev1.Service{})
	case words[len(words)-2] == "leases":
		return fill(h.text, &coordinationv1.Lease{})
	case last == "validatingwebhookconfigurations":
		w := fill(h.text, &admissionv1.ValidatingWebhookConfiguration{})
		w.Webhooks[0].FailurePolicy = nil
		return &admissionv1.ValidatingWebhookConfigurationList{Items: []admissionv1.ValidatingWebhookConfiguration{*w}}
	case last == "mutatingwebhookconfigurations":
		w := fill(h.text, &admissionv1.MutatingWebhookConfiguration{})
		w.Webhooks[0].FailurePolicy = nil
		return &admissionv1.MutatingWebhookConfigurationList{Items: []admissionv1.MutatingWebhookConfiguration{*w}}
	case last == "apiservices":
		return map[string]any{"items": []any{map[string]any{
			"metadata": map[string]string{"name": h.text}, "spec": map[string]any{"service": map[string]string{"namespace": h.text, "name": h.text}},
			"status": map[string]any{"conditions": []any{map[string]string{"type": "Available", "status": "False", "reason": h.text, "message": h.text}}},
		}}}
	case words[len(words)-2] == "deployments":
		return h.written()
	}
	return &metav1.PartialObjectMetadataList{Items: []metav1.PartialObjectMetadata{*h.written()}}
}

func fill[T any](text string, object *T) *T {
	hostile.Fill(object, text)
	if o, ok := any(object).(runtime.Object); ok {
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{}) // as it is not even decoded otherwise
	}
	return object
}

func (h hostileAPI) node() *corev1.Node {
	n := fill(h.text, &corev1.Node{})
	other := n.Status.Conditions[0]
	n.Status.Conditions[0].Type, other.Type, other.Status = corev1.NodeReady, corev1.NodeDiskPressure, corev1.ConditionTrue
	n.Status.Conditions = append(n.Status.Conditions, other)
	n.Status.Addresses[0].Type = corev1.NodeInternalIP
	n.Annotations[kube.CordonedBy] = h.text
	n.Status.Allocatable, n.Status.Capacity = nil, nil
	return n
}

func (h hostileAPI) pod() *corev1.Pod {
	p := fill(h.text, &corev1.Pod{})
	p.DeletionTimestamp = nil
	for _, c := range []*corev1.Container{&p.Spec.Containers[0], &p.Spec.InitContainers[0]} {
		c.Resources.Requests, c.Resources.Limits = nil, nil
	}
	return p
}

func (h hostileAPI) written() *metav1.PartialObjectMetadata {
	o := fill(h.text, &metav1.PartialObjectMetadata{})
	quoted, _ := json.Marshal(h.text)
	inner := strings.Trim(string(quoted), `"`)
	nested, _ := json.Marshal(`k:{"name":` + string(quoted) + `}`)
	o.ManagedFields[0].Subresource = ""
	o.ManagedFields[0].FieldsV1 = &metav1.FieldsV1{Raw: []byte(`{"f:` + inner + `":{` + string(nested) + `:{}}}`)}
	o.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"apiVersion":` + string(quoted) + `}`}
	return o
}

// Whatever a cluster says, in whichever field, and whatever stands in its place says in an error: nothing of it comes out
// of the client as it was, and none of it is long.
func TestNothingOfTheAPIComesRaw(t *testing.T) {
	long := strings.Repeat("\u202e", 2<<10) // and no more: an object has hundreds of fields
	looks := 0
	for _, text := range []string{hostile.Text(), long, strings.Repeat("x", len(long))} {
		for _, code := range []int{0, http.StatusForbidden, http.StatusUnprocessableEntity} {
			synctest.Test(t, func(t *testing.T) { looks += noneOfIt(t, hostileAPI{text, code}) })
		}
	}
	t.Logf("figure: %d texts that came from a hostile API: none is raw, none is longer than its bound", looks)
}

func noneOfIt(t *testing.T, api hostileAPI) (looks int) {
	client, err := kube.New("http://hostile", api, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, said := range everythingOf(t, client) {
		if api.code == 0 && strings.HasSuffix(name, " error") {
			t.Logf("%s: %.200s", name, said)
		}
		hostile.Walk(said, func(path, text string) {
			looks++
			if what, found := hostile.Obeyed(text); found {
				t.Errorf("%d %s%s: %s came through in %.60q", api.code, name, path, what, text)
			}
			if most := 4 * printable.Message; len(text) > most && !strings.HasPrefix(name, "document") {
				t.Errorf("%d %s%s: %d bytes", api.code, name, path, len(text))
			}
		})
	}
	return looks
}

// everythingOf asks a client for all that it can read, and tries an eviction.
func everythingOf(t *testing.T, c *kube.Client) map[string]any {
	ctx, all := t.Context(), map[string]any{}
	keep := func(name string, said any, err error) {
		all[name] = said
		if err != nil {
			all[name+" error"] = err.Error()
		}
	}
	nodes, err := c.Nodes(ctx)
	keep("nodes", nodes, err)
	for i := range nodes {
		all["words of a node"] = nodes[i].OutOfService(nodes[i].ReadySince) + nodes[i].CordonedBy()
		nodes[i].Annotations = nil // may hold documents
	}
	node, err := c.Node(ctx, "w1")
	all["document annotations"], node.Annotations = node.Annotations, nil
	keep("node", node, err)
	pods, err := c.Pods(ctx, kube.PodFilter{})
	keep("pods", pods, err)
	for _, p := range pods {
		volumes, err := c.VolumesOf(ctx, p)
		keep("volumes of a pod", volumes, err)
	}
	budgets, err := c.Budgets(ctx, "")
	keep("budgets", budgets, err)
	attachments, err := c.Attachments(ctx, "")
	keep("attachments", attachments, err)
	lost, err := c.Unavailable(ctx)
	keep("lost", lost, err)
	leader, err := c.Leader(ctx, "kube-scheduler")
	keep("leader", leader, err)
	data, err := c.ConfigData(ctx, "kube-system", "kubeadm-config")
	keep("document", data, err)
	uid, err := c.UID(ctx)
	keep("uid", uid, err)
	version, err := c.ServerVersion(ctx)
	keep("version", version, err)
	keep("readyz", nil, c.Readyz(ctx))
	groups, err := c.Groups(ctx)
	keep("groups", groups, err)
	tracks, err := c.Tracks(ctx, "policy", "v1", "things")
	keep("tracks", tracks, err)
	addon, err := c.TracksOf(ctx, "/apis/apps/v1", "namespaces", "kube-system", "deployments", "coredns")
	keep("addon", addon, err)
	on, err := c.VolumesOn(ctx, []string{"csi"})
	keep("volumes on", on, err)
	drivers, err := c.Drivers(ctx)
	keep("drivers", drivers, err)
	rooms, err := c.Rooms(ctx)
	keep("rooms", rooms, err)
	workloads, err := c.PlacedPods(ctx)
	keep("workloads", justWords(workloads, rooms), err)
	webhooks, err := c.Webhooks(ctx)
	keep("webhooks", webhooks, err)
	ailing, complaints, err := c.PodsAndComplaints(ctx, "kube-system")
	keep("complaints", []any{ailing, complaints}, err)
	holder, _, err := kube.NewLock(c, kube.Identity{}).Holder(ctx)
	keep("holder", holder, err)
	address, err := c.Reach(ctx)
	keep("address", address, err)
	keep("eviction", nil, c.Evict(ctx, kube.Pod{Namespace: "shop", Name: "cart-0"}))
	return all
}

// justWords are the parts of workloads that somebody may show: the rest are functions.
func justWords(workloads []kube.PlacedPod, rooms []kube.Room) []any {
	var all []any
	for _, w := range workloads {
		all = append(all, w.Pod, w.Extended, w.Ports, w.Bound(rooms))
		for _, r := range rooms {
			all = append(all, w.Refused(r), r.Taints)
		}
		for _, p := range append(w.Apart, w.Together...) {
			all = append(all, p.Key, p.Topology)
		}
	}
	return all
}

// What an error of the transport says is the other side's too.
func TestErrorsOfTheTransportAreClean(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, hostile.Text()+strings.Repeat("x", 1<<20))
	}))
	defer server.Close()
	client, err := kube.New(server.URL, http.DefaultTransport, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, said := range everythingOf(t, client) {
		hostile.Walk(said, func(path, text string) {
			if what, found := hostile.Obeyed(text); found || len(text) > 4*printable.Message {
				t.Errorf("%s%s: %s in %d bytes: %.60q", name, path, what, len(text), text)
			}
		})
	}
}
