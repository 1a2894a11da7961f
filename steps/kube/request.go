package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// How long one request may take, and how often and how long something is tried before the caller is told. An API
// server behind a load balancer is back within seconds of a restart; a longer outage is the engine's to wait for. A write
// outlasts admission: each webhook may take 30 s (k8s.io/api: admissionregistration/v1, timeoutSeconds), and the API server
// sees a write through for 34 (k8s.io/apiserver: pkg/endpoints/handlers/rest.go, requestTimeoutUpperBound); the lock may have
// to be renewed before that.
const (
	requestTimeout = 10 * time.Second
	writeTimeout   = 40 * time.Second
	maxTries       = 5
	maxPatience    = 8 * time.Second
	firstPause     = 250 * time.Millisecond
)

// A verdict is what an error of one request means.
type verdict int

const (
	fine      verdict = iota // it was done
	permanent                // it was not done and trying again will not help
	conflict                 // it was not done: the object has changed, look again
	turned                   // it was not done: the server was not reached, or said to come later
	unknown                  // nobody knows whether it was done; a read is just tried again
)

// judge tells the errors of one request apart.
func judge(err error) verdict {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return fine
	case errors.Is(err, engine.ErrReadOnly), errors.Is(err, engine.ErrFenced), errors.Is(err, context.Canceled),
		errors.Is(err, errTooLarge), errors.Is(err, errElsewhere), errors.Is(err, errNoEpochLeft), errors.Is(err, errNoCredentials):
		return permanent
	case isTransient(err): // the lock could not be proved, so the request was not sent
		return turned
	case errors.As(err, &status):
		return judgeStatus(int(status.Status().Code))
	}
	return judgeTransport(err)
}

func judgeStatus(code int) verdict {
	switch {
	case code == http.StatusConflict:
		return conflict
	case code == http.StatusTooManyRequests:
		return turned
	case code >= 500:
		return unknown // also "etcdserver: leader changed" and request timeouts: the write may have reached etcd
	}
	return permanent
}

func judgeTransport(err error) verdict {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &certificate), errors.As(err, &authority):
		return permanent
	case errors.As(err, &name) && name.IsNotFound:
		return permanent
	case strings.Contains(err.Error(), gettingCredentials):
		return permanent
	case errors.As(err, &op) && op.Op == "dial":
		return turned
	}
	return unknown
}

// once makes one request that admission does not hold up, within requestTimeout, and lets take have what came back.
func (c *Client) once(ctx context.Context, req *rest.Request, take func(rest.Result) error) error {
	return c.ask(ctx, &slowError{limit: requestTimeout}, req, take)
}

// change makes one request that writes, and lasts as long as admission may.
func (c *Client) change(ctx context.Context, req *rest.Request, take func(rest.Result) error) error {
	err := c.ask(ctx, &slowError{writeTimeout, slowAdmission}, req, take)
	if gaveUp(err) {
		return fmt.Errorf("%w%s", err, slowAdmission)
	}
	return err
}

// ask makes one request, and ends it in time. The words of an error may be the server's, or of whoever stands in its place.
// What credentials take is not the request's time.
func (c *Client) ask(ctx context.Context, slow *slowError, req *rest.Request, take func(rest.Result) error) error {
	if err := c.Login(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, slow.limit, slow)
	defer cancel()
	result := req.MaxRetries(0).Do(ctx) // client-go's own retries would sleep through Retry-After, also on writes
	err := result.Error()
	if err == nil {
		err = take(result)
	}
	if err != nil && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		c.dropConnections()
		err = late(ctx, err)
	}
	err = printable.Error(redact.Error(err)) // a server, or a proxy before it, may repeat what it was sent
	if apierrors.IsUnauthorized(err) {
		return &unacceptedError{err, c.Credentials()}
	}
	return err
}

// into decodes an answer into an object of the API, and cleans it: nothing that a cluster says is shown as it came.
func into(object runtime.Object) func(rest.Result) error {
	return func(r rest.Result) error {
		err := r.Into(object)
		if err == nil {
			printable.Clean(object, "Data", "Annotations")
		}
		return err
	}
}

// verbatim decodes an answer into an object that will be written back, and must not change on the way. Who shows any of
// it cleans that.
func verbatim(object runtime.Object) func(rest.Result) error {
	return func(r rest.Result) error { return r.Into(object) }
}

// dropConnections makes the next request dial anew. HTTP/2 would go on using a connection whose other end has lost
// power until its pings time out, 45 s later; a load balancer has another backend at once.
func (c *Client) dropConnections() {
	if c.config.Transport != nil {
		return // in the same process: there are none
	}
	if client, ok := c.rest.(*rest.RESTClient); ok && client.Client != nil {
		utilnet.CloseIdleConnectionsFor(client.Client.Transport)
	}
}

// read makes a request that only reads, again and again within the limits above. what says what is read.
func (c *Client) read(ctx context.Context, what string, request func() *rest.Request, take func(rest.Result) error) error {
	try := newTries()
	for {
		err := c.once(ctx, request(), take)
		switch v := judge(err); {
		case v == fine:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("reading %s: %w", what, context.Cause(ctx))
		case (apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)) && try.again(ctx, err):
			continue // an API server that has just started may not know its roles yet
		case v == permanent || v == conflict:
			return fmt.Errorf("reading %s: %w", what, explain(err))
		case !try.again(ctx, err) && ctx.Err() == nil:
			return engine.Transient(fmt.Errorf("reading %s: %w", what, err))
		}
	}
}

// converge brings an object to a state: look says whether it is there already, act makes one conditional request
// towards it. final ends it with act's error; otherwise the error is judged, and look settles what it left open.
func converge(ctx context.Context, what string, look func() (done bool, err error), act func() (final bool, err error)) error {
	try := newTries()
	var last error
	for {
		done, err := look()
		if err != nil && judge(last) == unknown && (ctx.Err() != nil || isTransient(err)) {
			return engine.InDoubt(fmt.Errorf("%s: %w; and then %w", what, last, err))
		}
		if done || err != nil {
			return err
		}
		if last != nil && !try.again(ctx, last) {
			return giveUp(what, last)
		}
		final, err := act()
		if err == nil || final {
			return err
		}
		if ctx.Err() != nil && !errors.Is(err, engine.ErrReadOnly) {
			return engine.InDoubt(fmt.Errorf("%s: %w", what, err)) // cut off in the middle
		}
		if judge(err) == permanent {
			return fmt.Errorf("%s: %w", what, explain(err))
		}
		last = err
	}
}

func isTransient(err error) bool { var t *engine.TransientError; return errors.As(err, &t) }

// giveUp reports the last error of a write whose object was looked at since, and found unchanged.
func giveUp(what string, last error) error {
	err := fmt.Errorf("%s: %w", what, last)
	if judge(last) == unknown {
		return engine.InDoubt(err) // a request may still be on its way through the server
	}
	return engine.Transient(err)
}

// tries counts attempts and waits between them.
type tries struct {
	made  int
	start time.Time
}

func newTries() *tries { return &tries{start: time.Now()} }

// again waits before the next attempt and says whether there is one: not when ctx has ended or patience would. It
// waits as long as the server asked to, if it did.
func (t *tries) again(ctx context.Context, err error) bool {
	t.made++
	wait := firstPause << (t.made - 1)
	wait = wait/2 + rand.N(wait) //nolint:gosec // half to one and a half of it; it spreads requests and guards nothing
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		wait = max(wait, time.Duration(seconds)*time.Second)
	}
	if t.made >= maxTries || time.Since(t.start)+wait > maxPatience {
		return false
	}
	return pause(ctx, wait) == nil
}

// pause waits, but no longer than ctx allows, whose end it reports.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// explain adds to an answer of the API server what a person can do about it.
func explain(err error) error {
	if _, ok := admissionSays(err); ok {
		return err // whatever its code, it is not about who asks
	}
	var unaccepted *unacceptedError
	switch {
	case errors.As(err, &unaccepted):
		return unaccepted.credentials.refused(err, time.Now())
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; the user of the kubeconfig lacks the right: see `kubectl auth can-i --list`; examples/rbac.yaml has all that upgrader needs", err)
	}
	return err
}
