package kube

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An APIService is a version of an API group that another server than kube-apiserver answers for.
type APIService struct {
	Name    string    // version and group: v1beta1.metrics.k8s.io
	Service string    // namespace/name of where it is answered for
	Since   time.Time // when it was found to be so
	Why     string    // "MissingEndpoints: endpoints for service/metrics-server in kube-system have no addresses"
}

// apiService is one as the API has it, in k8s.io/kube-aggregator/pkg/apis/apiregistration/v1.
type apiService struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Service *struct{ Namespace, Name string } `json:"service"`
	} `json:"spec"`
	Status struct {
		Conditions []metav1.Condition `json:"conditions"`
	} `json:"status"`
}

// Unavailable returns the API services that the API server cannot reach, by name. Every request to one fails, and with it
// whoever wants to know all that the cluster has.
func (c *Client) Unavailable(ctx context.Context) ([]APIService, error) {
	all, err := pages[apiService](ctx, c, "the API services", "/apis/apiregistration.k8s.io/v1/apiservices")
	var lost []APIService
	for _, a := range all {
		for _, condition := range a.Status.Conditions {
			if condition.Type == "Available" && condition.Status == metav1.ConditionFalse && a.Spec.Service != nil {
				lost = append(lost, APIService{
					Name: a.Metadata.Name, Service: a.Spec.Service.Namespace + "/" + a.Spec.Service.Name, Since: condition.LastTransitionTime.Time,
					Why: strings.TrimSuffix(cmp.Or(condition.Reason, "it gives no reason")+": "+condition.Message, ": "),
				})
			}
		}
	}
	slices.SortFunc(lost, func(a, b APIService) int { return strings.Compare(a.Name, b.Name) })
	return lost, err
}
