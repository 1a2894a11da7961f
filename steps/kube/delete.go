package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// DeleteWithin deletes a pod, past its PodDisruptionBudgets, within a grace period; 0 leaves it the pod's own. The pod is known by its UID
// and its node, as by Evict: one that is gone, terminating, or has come back under its name needs nothing.
func (c *Client) DeleteWithin(ctx context.Context, p Pod, grace time.Duration) error {
	body, err := json.Marshal(deleteOptions(p, grace))
	if err != nil {
		return fmt.Errorf("encoding the deletion of %s: %w", p, err)
	}
	return converge(ctx, "deleting pod "+p.String(), func() (bool, error) {
		return c.left(ctx, p)
	}, func() (final bool, err error) {
		err = c.once(ctx, c.rest.Delete().AbsPath(core, "namespaces", p.Namespace, "pods", p.Name).
			SetHeader("Content-Type", "application/json").Body(body), func(rest.Result) error { return nil })
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err // a conflict may be that another pod has its name: the next look tells
	})
}
