package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// This file is what can be done with a resource. The caller holds the world's lock.

const modified = "the object has been modified; please apply your changes to the latest version and try again"

// named marks an object with its kind, as every answer of an API server is.
func named(t *table, o object) object {
	c, ok := o.DeepCopyObject().(object)
	if !ok {
		return o
	}
	c.GetObjectKind().SetGroupVersionKind(t.resource().WithVersion(t.version).GroupVersion().WithKind(t.kind))
	return c
}

func (w *world) get(q request) (reply, error) {
	o := q.table.objects[q.key()]
	if o == nil {
		return reply{}, apierrors.NewNotFound(q.table.resource(), q.name)
	}
	if q.pretty {
		return encode(http.StatusOK, asTable(q.table, []object{o})), nil
	}
	return encode(http.StatusOK, named(q.table, o)), nil
}

// list selects by labels and fields, and hands out page after page when it is asked to.
func (w *world) list(q request) (reply, error) {
	byLabel, err := labels.Parse(q.option("labelSelector"))
	if err != nil {
		return reply{}, apierrors.NewBadRequest("labelSelector: " + err.Error())
	}
	byField, err := fields.ParseSelector(q.option("fieldSelector"))
	if err != nil {
		return reply{}, apierrors.NewBadRequest("fieldSelector: " + err.Error())
	}
	if err := knownFields(byField); err != nil {
		return reply{}, err
	}
	limit, _ := strconv.Atoi(q.option("limit")) // an API server ignores nonsense here, too
	from := q.option("continue")
	items, next := []object{}, ""
	for _, o := range q.table.sorted() {
		k := key(o.GetNamespace(), o.GetName())
		switch {
		case q.namespace != "" && o.GetNamespace() != q.namespace, from != "" && k <= from:
		case !byLabel.Matches(labels.Set(o.GetLabels())) || !byField.Matches(fieldsOf(o)):
		case limit > 0 && len(items) == limit:
			last := items[limit-1]
			next = key(last.GetNamespace(), last.GetName())
		default:
			items = append(items, o)
		}
		if next != "" {
			break
		}
	}
	if q.pretty {
		t := asTable(q.table, items)
		t.ListMeta = metav1.ListMeta{ResourceVersion: strconv.FormatUint(w.version, 10), Continue: next}
		return encode(http.StatusOK, t), nil
	}
	return encode(http.StatusOK, map[string]any{
		"kind": q.table.kind + "List", "apiVersion": q.table.apiVersion(),
		"metadata": metav1.ListMeta{ResourceVersion: strconv.FormatUint(w.version, 10), Continue: next},
		"items":    items,
	}), nil
}

// fieldsOf are the fields that lists can be selected by.
func fieldsOf(o object) fields.Set {
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	switch t := o.(type) {
	case *corev1.Pod:
		set["spec.nodeName"], set["status.phase"] = t.Spec.NodeName, string(t.Status.Phase)
	case *corev1.Node:
		set["spec.unschedulable"] = strconv.FormatBool(t.Spec.Unschedulable)
	}
	return set
}

func knownFields(s fields.Selector) error {
	for _, r := range s.Requirements() {
		switch r.Field {
		case "metadata.name", "metadata.namespace", "spec.nodeName", "status.phase", "spec.unschedulable":
		default:
			return apierrors.NewBadRequest(fmt.Sprintf("field label not supported: %s", r.Field))
		}
	}
	return nil
}

func (w *world) create(q request) (reply, error) {
	o := q.table.fresh()
	if err := json.Unmarshal(q.body, o); err != nil {
		return reply{}, apierrors.NewBadRequest(fmt.Sprintf("reading the %s: %v", q.table.kind, err))
	}
	if o.GetName() == "" && o.GetGenerateName() != "" {
		o.SetName(o.GetGenerateName() + w.suffix(5))
	}
	if o.GetName() == "" {
		return reply{}, apierrors.NewBadRequest("name or generateName is required")
	}
	if q.table.namespaced {
		o.SetNamespace(q.namespace)
		if w.tables["namespaces"].objects[q.namespace] == nil {
			return reply{}, apierrors.NewNotFound(w.tables["namespaces"].resource(), q.namespace)
		}
	}
	k := key(o.GetNamespace(), o.GetName())
	if q.table.objects[k] != nil {
		return reply{}, apierrors.NewAlreadyExists(q.table.resource(), o.GetName())
	}
	if _, counted := o.(*policyv1.PodDisruptionBudget); counted {
		o.SetGeneration(1)
	}
	o.SetUID(uid())
	o.SetCreationTimestamp(metav1.Now())
	if !q.dryRun() {
		w.put(q.table.name(), o)
		w.effects.add(Effect{What: EffectCreate, Detail: q.table.plural + " " + k, Run: q.by.run})
		if p, ok := o.(*corev1.Pod); ok {
			w.admit(p)
		}
	}
	return encode(http.StatusCreated, named(q.table, o)), nil
}

func (w *world) update(q request) (reply, error) {
	old := q.table.objects[q.key()]
	next := q.table.fresh()
	if err := json.Unmarshal(q.body, next); err != nil {
		return reply{}, apierrors.NewBadRequest(fmt.Sprintf("reading the %s: %v", q.table.kind, err))
	}
	switch {
	case old != nil:
		return w.replace(q, old, next)
	case q.table.plural != "leases":
		return reply{}, apierrors.NewNotFound(q.table.resource(), q.name)
	case next.GetUID() != "":
		return reply{}, apierrors.NewConflict(q.table.resource(), q.name, fmt.Errorf("StorageError: invalid object, Code: 4, Key: /registry/leases/%s/%s, "+
			"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: %s, UID in object meta: ", q.namespace, q.name, next.GetUID()))
	}
	return w.create(q) // whatever resourceVersion it names: Leases may be created by an update (AllowCreateOnUpdate)
}

func (w *world) patch(q request) (reply, error) {
	old := q.table.objects[q.key()]
	if old == nil {
		return reply{}, apierrors.NewNotFound(q.table.resource(), q.name)
	}
	before, err := json.Marshal(old)
	if err != nil {
		return reply{}, apierrors.NewInternalError(err)
	}
	next := q.table.fresh()
	after, err := applyPatch(q.kind, before, q.body, next)
	if err != nil {
		return reply{}, err
	}
	if err := json.Unmarshal(after, next); err != nil {
		return reply{}, apierrors.NewBadRequest(fmt.Sprintf("the patch makes no valid %s: %v", q.table.kind, err))
	}
	return w.replace(q, old, next)
}

// replace puts a changed object in the place of the old one if it was made from it: its resourceVersion tells.
func (w *world) replace(q request, old, next object) (reply, error) {
	if v := next.GetResourceVersion(); v != "" && v != old.GetResourceVersion() {
		return reply{}, apierrors.NewConflict(q.table.resource(), q.name, errors.New(modified))
	}
	if u := next.GetUID(); u != "" && u != old.GetUID() {
		return reply{}, apierrors.NewConflict(q.table.resource(), q.name,
			fmt.Errorf("Precondition failed: UID in precondition: %s, UID in object meta: %s", u, old.GetUID())) //nolint:staticcheck // kube-apiserver's words
	}
	if next.GetName() != q.name {
		return reply{}, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", next.GetName(), q.name))
	}
	keep(next, old)
	countSpec(next, old)
	next.GetObjectKind().SetGroupVersionKind(old.GetObjectKind().GroupVersionKind())
	if reflect.DeepEqual(old, next) || sameJSON(old, next) {
		return encode(http.StatusOK, named(q.table, old)), nil // nothing changes, not even the version
	}
	if q.dryRun() {
		return encode(http.StatusOK, named(q.table, next)), nil
	}
	w.put(q.table.name(), next)
	w.changed(q, old, next)
	return encode(http.StatusOK, named(q.table, next)), nil
}

// keep restores what a client cannot change through the resource itself: identity, and the status.
func keep(next, old object) {
	next.SetUID(old.GetUID())
	next.SetNamespace(old.GetNamespace())
	next.SetCreationTimestamp(old.GetCreationTimestamp())
	next.SetDeletionTimestamp(old.GetDeletionTimestamp())
	next.SetResourceVersion(old.GetResourceVersion())
	switch n := next.(type) {
	case *corev1.Node:
		if o, ok := old.(*corev1.Node); ok {
			n.Status = *o.Status.DeepCopy()
		}
	case *corev1.Pod:
		if o, ok := old.(*corev1.Pod); ok {
			n.Status = *o.Status.DeepCopy()
		}
	case *policyv1.PodDisruptionBudget:
		if o, ok := old.(*policyv1.PodDisruptionBudget); ok {
			n.Status = *o.Status.DeepCopy()
		}
	}
}

// countSpec raises the generation of a budget whose spec has changed: its status is of before until it is counted again.
func countSpec(next, old object) {
	n, ok1 := next.(*policyv1.PodDisruptionBudget)
	o, ok2 := old.(*policyv1.PodDisruptionBudget)
	if !ok1 || !ok2 {
		return
	}
	n.Generation = o.Generation
	if !reflect.DeepEqual(n.Spec, o.Spec) {
		n.Generation++
	}
}

func sameJSON(a, b object) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// changed records what a client changed and lets the cluster notice it.
func (w *world) changed(q request, old, next object) {
	was, ok1 := old.(*corev1.Node)
	now, ok2 := next.(*corev1.Node)
	if !ok1 || !ok2 {
		w.effects.add(Effect{What: EffectUpdate, Detail: q.table.plural + " " + q.key(), Run: q.by.run})
		return
	}
	marks := difference("annotation", was.Annotations, now.Annotations) + difference("label", was.Labels, now.Labels)
	what := EffectNode
	if was.Spec.Unschedulable != now.Spec.Unschedulable {
		what = EffectUncordon
		if now.Spec.Unschedulable {
			what = EffectCordon
		}
		setTaint(now, unschedulable, now.Spec.Unschedulable)
	}
	if marks == "" {
		marks = "no mark of an owner"
	}
	w.effects.add(Effect{Host: now.Name, What: what, Detail: strings.TrimPrefix(marks, ", "), Run: q.by.run})
	w.count()
	w.wakeControllers()
}

func (w *world) remove(q request) (reply, error) {
	o := q.table.objects[q.key()]
	if o == nil {
		return reply{}, apierrors.NewNotFound(q.table.resource(), q.name)
	}
	options := &metav1.DeleteOptions{}
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, options); err != nil {
			return reply{}, apierrors.NewBadRequest("reading the DeleteOptions: " + err.Error())
		}
	}
	if err := precondition(options, q.table.kind, o); err != nil {
		return reply{}, err
	}
	if !q.dryRun() && !isDryRun(options.DryRun) {
		w.delete(q, o, options)
	}
	if _, lingers := o.(*corev1.Pod); !lingers { // what is gone at once is answered with a Status
		return encode(http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}), nil
	}
	return encode(http.StatusOK, named(q.table, o)), nil
}

func (w *world) delete(q request, o object, options *metav1.DeleteOptions) {
	p, isPod := o.(*corev1.Pod)
	host := ""
	if isPod {
		host = p.Spec.NodeName
	}
	w.effects.add(Effect{Host: host, What: EffectDelete, Detail: q.table.plural + " " + q.key() + " " + string(o.GetUID()), Run: q.by.run})
	force := options.GracePeriodSeconds != nil && *options.GracePeriodSeconds == 0
	switch {
	case isPod && isMirror(p):
		w.putMirror(w.hosts[host], p.Labels["component"]) // its kubelet puts it back; the container never noticed
	case isPod && !force:
		w.endPod(p)
	default:
		w.erase(q.table.name(), o)
		w.wakeControllers()
	}
}

// precondition compares the UID and the version that a client expects with those that are there.
func precondition(options *metav1.DeleteOptions, resource string, o object) error {
	if options == nil || options.Preconditions == nil {
		return nil
	}
	gr := metav1.Unversioned.WithResource(resource).GroupResource()
	if u := options.Preconditions.UID; u != nil && *u != o.GetUID() {
		return apierrors.NewConflict(gr, o.GetName(), fmt.Errorf(
			"the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *u, o.GetUID()))
	}
	if v := options.Preconditions.ResourceVersion; v != nil && *v != o.GetResourceVersion() {
		return apierrors.NewConflict(gr, o.GetName(), fmt.Errorf(
			"the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *v, o.GetResourceVersion()))
	}
	return nil
}

func (w *world) createEviction(q request) (reply, error) {
	var eviction policyv1.Eviction
	if err := json.Unmarshal(q.body, &eviction); err != nil {
		return reply{}, apierrors.NewBadRequest("reading the Eviction: " + err.Error())
	}
	if eviction.Name != "" && eviction.Name != q.name {
		return reply{}, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	p := find[*corev1.Pod](w, "pods", q.key())
	if p == nil {
		return reply{}, apierrors.NewNotFound(q.table.resource(), q.name)
	}
	options := eviction.DeleteOptions
	if options == nil {
		options = &metav1.DeleteOptions{}
	}
	if q.dryRun() {
		options.DryRun = []string{metav1.DryRunAll}
	}
	if isMirror(p) {
		return w.remove(q) // as in a real cluster: the object comes back, nothing else happens
	}
	if err := w.evict(p, options, q.by); err != nil {
		return reply{}, err
	}
	return encode(http.StatusCreated, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess, Code: http.StatusCreated,
	}), nil
}
