package sandbox

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// asTable prints objects as an API server does for kubectl: the columns that matter of nodes, pods and budgets, and
// name and age of everything else.
func asTable(t *table, items []object) metav1.Table {
	out := metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/v1"}}
	columns := map[string][]string{
		"nodes": {"Status", "Roles", "Age", "Version"}, "pods": {"Ready", "Status", "Restarts", "Age", "Node"},
		"poddisruptionbudgets": {"Healthy", "Needs", "Allowed", "Age"},
	}[t.plural]
	if columns == nil {
		columns = []string{"Age"}
	}
	out.ColumnDefinitions = []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name"}}
	for _, c := range columns {
		out.ColumnDefinitions = append(out.ColumnDefinitions, metav1.TableColumnDefinition{Name: c, Type: "string"})
	}
	for _, o := range items {
		partial := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}}
		partial.Name, partial.Namespace, partial.UID = o.GetName(), o.GetNamespace(), o.GetUID()
		partial.Labels, partial.CreationTimestamp = o.GetLabels(), o.GetCreationTimestamp()
		out.Rows = append(out.Rows, metav1.TableRow{
			Cells: append([]any{o.GetName()}, cells(o)...), Object: runtime.RawExtension{Object: partial},
		})
	}
	return out
}

func cells(o object) []any {
	age := duration.HumanDuration(time.Since(o.GetCreationTimestamp().Time))
	switch x := o.(type) {
	case *corev1.Node:
		status, role := "NotReady", "<none>"
		if isReady(x) {
			status = "Ready"
		}
		if x.Spec.Unschedulable {
			status += ",SchedulingDisabled"
		}
		if _, ok := x.Labels[controlPlaneLabel]; ok {
			role = "control-plane"
		}
		return []any{status, role, age, x.Status.NodeInfo.KubeletVersion}
	case *corev1.Pod:
		status, ready := string(x.Status.Phase), 0
		if x.DeletionTimestamp != nil {
			status = "Terminating"
		}
		if podReady(x) {
			ready = len(x.Spec.Containers)
		}
		return []any{fmt.Sprintf("%d/%d", ready, len(x.Spec.Containers)), status, 0, age, x.Spec.NodeName}
	case *policyv1.PodDisruptionBudget:
		return []any{x.Status.CurrentHealthy, x.Status.DesiredHealthy, x.Status.DisruptionsAllowed, age}
	}
	return []any{age}
}

// wantsTable says whether a client asked for a table, as kubectl get does.
func wantsTable(accept string) bool { return strings.Contains(accept, "as=Table") }
