package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A slowError says that a request had no answer in its time.
type slowError struct {
	limit time.Duration
	hint  string // what may be the cause
}

// Error says how long it was waited for, and what may be slow.
func (e *slowError) Error() string { return fmt.Sprintf("no answer within %s%s", e.limit, e.hint) }

// Unwrap makes it a timeout like any other.
func (e *slowError) Unwrap() error { return context.DeadlineExceeded }

// late is the error of a request whose time was over in the words of who set it: over HTTP/2 net/http only tells that a deadline
// was exceeded, and client-go puts the address before it.
func late(ctx context.Context, err error) error {
	if slow, ok := errors.AsType[*slowError](err); ok {
		return slow
	}
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

const slowAdmission = ": an admission webhook may be slow"

// gaveUp says that the API server did not see a write through in its time (k8s.io/apiserver: pkg/endpoints/handlers/finisher).
func gaveUp(err error) bool {
	return apierrors.IsTimeout(err) && strings.Contains(err.Error(), "did not complete within requested timeout")
}
