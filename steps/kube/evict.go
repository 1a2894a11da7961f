package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// Evict asks the API server to remove a pod, within its own grace period. The pod is known by its UID and its node: one
// that is gone, terminating, or has come back under its name elsewhere needs nothing. Errors: *Blocked if a
// PodDisruptionBudget does not allow it now; engine.NotYet if the server asks to come later for another reason, or admission
// does not let it through.
func (c *Client) Evict(ctx context.Context, p Pod) error { return c.EvictWithin(ctx, p, 0) }

// EvictWithin is Evict with a grace period in place of the pod's own; 0 leaves it the pod's own.
func (c *Client) EvictWithin(ctx context.Context, p Pod, grace time.Duration) error {
	body, err := evictionBody(p, grace)
	if err != nil {
		return err
	}
	return converge(ctx, "evicting pod "+p.String(), func() (bool, error) {
		return c.left(ctx, p)
	}, func() (final bool, err error) {
		err = c.change(ctx, c.rest.Post().AbsPath(core, "namespaces", p.Namespace, "pods", p.Name, "eviction").
			SetHeader("Content-Type", "application/json").Body(body), func(rest.Result) error { return nil })
		return c.refusal(ctx, p, err)
	})
}

func evictionBody(p Pod, grace time.Duration) ([]byte, error) {
	body, err := json.Marshal(&policyv1.Eviction{
		TypeMeta:      metav1.TypeMeta{APIVersion: "policy/v1", Kind: "Eviction"},
		ObjectMeta:    metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name},
		DeleteOptions: deleteOptions(p, grace),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the eviction of %s: %w", p, err)
	}
	return body, nil
}

// deleteOptions are of this very pod, and not of one that has its name by then.
func deleteOptions(p Pod, grace time.Duration) *metav1.DeleteOptions {
	uid := types.UID(p.UID)
	options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	if grace > 0 {
		seconds := int64((grace + time.Second - 1) / time.Second)
		options.GracePeriodSeconds = &seconds
	}
	return options
}

// left says whether a pod is gone from its node or going.
func (c *Client) left(ctx context.Context, p Pod) (bool, error) {
	object := &corev1.Pod{}
	err := c.get(ctx, "pod "+p.String(), object, core, "namespaces", p.Namespace, "pods", p.Name)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	now := toPod(object)
	return now.UID != p.UID || now.Node != p.Node || now.Terminating, nil
}

// refusal turns the API server's answers to an eviction (pkg/registry/core/pod/storage/eviction.go) into errors of our
// own. Those that are final end the attempt; the others are judged like any request's. Admission comes first: a webhook
// denies by whatever code it likes, also by one that would mean that the pod is gone.
func (c *Client) refusal(ctx context.Context, p Pod, err error) (final bool, _ error) {
	if final, err := heldUp(p.String(), err); final {
		return true, err
	}
	switch {
	case err == nil, apierrors.IsNotFound(err):
		return true, nil
	case apierrors.IsTooManyRequests(err) && apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
		return true, c.blocked(ctx, p, err)
	case apierrors.IsTooManyRequests(err):
		// Priority and fairness: the server is busy.
		return true, engine.NotYet("%s waits: the API server asks to come later (%v)", p, err)
	case apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return true, engine.NotYet("%s waits: its namespace is being deleted, and it with it", p)
	case apierrors.IsForbidden(err) && strings.HasPrefix(err.Error(), "poddisruptionbudget"): // of a missing right it would be pods
		// "DisruptedPods map too big", "pdb disruptions allowed is negative": the disruption controller is behind.
		return true, engine.NotYet("%s waits: %v", p, err)
	case strings.Contains(err.Error(), "more than one PodDisruptionBudget"): // a 500 without a reason
		return true, c.overlapping(ctx, p)
	}
	return false, err
}

// blocked reads the budgets again, for the numbers of this moment.
func (c *Client) blocked(ctx context.Context, p Pod, err error) error {
	b := &Blocked{Pod: p.String(), Why: causes(err)}
	for _, budget := range c.covering(ctx, p) {
		b.Budget = budget.String()
		if budget.Exhausted() {
			b.Why = budget.Words()
		}
	}
	return b
}

// overlapping names the budgets that together make a pod impossible to evict.
func (c *Client) overlapping(ctx context.Context, p Pod) error {
	var names []string
	for _, budget := range c.covering(ctx, p) {
		names = append(names, budget.String())
	}
	return OverlapError(p, names)
}

// OverlapError says that a pod can never be evicted, because more than one PodDisruptionBudget selects it.
func OverlapError(p Pod, budgets []string) error {
	return fmt.Errorf("pod %s is selected by more than one PodDisruptionBudget (%s), and the API server evicts no such pod; change their selectors so that one remains, then resume",
		p, strings.Join(budgets, ", "))
}

func (c *Client) covering(ctx context.Context, p Pod) []Budget {
	all, err := c.Budgets(ctx, p.Namespace)
	if err != nil {
		return nil // the server's own words have to do
	}
	var covering []Budget
	for _, b := range all {
		if b.Covers(p) {
			covering = append(covering, b)
		}
	}
	return covering
}

// causes are the server's words for a refusal, such as "The disruption budget cart needs 1 healthy pods and has 1
// currently", or why it "failed sync".
func causes(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == policyv1.DisruptionBudgetCause && cause.Message != "" {
				return redact.Likely(printable.Cut(cause.Message, printable.Message))
			}
		}
	}
	return err.Error()
}
