package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/engine/printable"
)

// notePrefix is that of the Lease's annotations, which say to people what the lock is about.
const notePrefix = "upgrader.dev/"

// A lease is what the lock needs of a Lease. The zero one does not exist.
type lease struct {
	version  string // resourceVersion; empty: there is no such Lease
	uid      string // of this very Lease: the API server takes a replacement of one that was deleted for a new one, unless it is named
	identity string
	epoch    int64 // leaseTransitions
	acquired time.Time
	renewed  time.Time
	duration time.Duration
	notes    map[string]string // annotations, as they came: they go back
}

func (l lease) exists() bool { return l.version != "" }

// note sets annotations, in a copy; an empty one is taken away.
func (l *lease) note(notes map[string]string) {
	l.notes = maps.Clone(l.notes)
	if l.notes == nil {
		l.notes = map[string]string{}
	}
	for name, value := range notes {
		if l.notes[notePrefix+name] = value; value == "" {
			delete(l.notes, notePrefix+name)
		}
	}
}

// said is what a note says, for people.
func (l lease) said(name string) string {
	return printable.Cut(l.notes[notePrefix+name], printable.Message)
}

// longestDuration is what a Lease may say of itself: no version writes more, and a person who edits it may.
const longestDuration = 10 * lockDuration

// readLease returns the zero lease if there is none.
func (c *Client) readLease(ctx context.Context, namespace, name string) (lease, error) {
	l, err := c.getLease(ctx, "the lock "+namespace+"/"+name, namespace, name)
	if errors.Is(err, ErrNotFound) {
		return lease{}, nil
	}
	if l.duration <= 0 || l.duration > longestDuration {
		l.duration = lockDuration
	}
	return l, err
}

func (c *Client) getLease(ctx context.Context, what, namespace, name string) (lease, error) {
	object := &coordinationv1.Lease{}
	err := c.read(ctx, what, func() *rest.Request {
		return c.rest.Get().AbsPath(coordination, "namespaces", namespace, "leases", name)
	}, verbatim(object))
	if err != nil {
		return lease{}, asNotFound(what, err)
	}
	return fromLease(object), nil
}

func fromLease(o *coordinationv1.Lease) lease {
	l := lease{version: o.ResourceVersion, uid: string(o.UID), notes: o.Annotations}
	if o.Spec.HolderIdentity != nil {
		l.identity = printable.Line(*o.Spec.HolderIdentity, printable.Message)
	}
	if o.Spec.LeaseTransitions != nil {
		l.epoch = int64(*o.Spec.LeaseTransitions)
	}
	if o.Spec.AcquireTime != nil {
		l.acquired = o.Spec.AcquireTime.Time
	}
	if o.Spec.RenewTime != nil {
		l.renewed = o.Spec.RenewTime.Time
	}
	if o.Spec.LeaseDurationSeconds != nil {
		l.duration = time.Duration(*o.Spec.LeaseDurationSeconds) * time.Second
	}
	return l
}

func toLease(namespace, name string, l lease) *coordinationv1.Lease {
	seconds, transitions := int32(cmp.Or(l.duration, lockDuration)/time.Second), int32(l.epoch) //nolint:gosec // the API counts both in an int32 too, and writeLease has looked
	o := &coordinationv1.Lease{
		TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(l.uid), ResourceVersion: l.version, Annotations: l.notes},
		Spec: coordinationv1.LeaseSpec{
			AcquireTime: &metav1.MicroTime{Time: l.acquired}, RenewTime: &metav1.MicroTime{Time: l.renewed},
			LeaseDurationSeconds: &seconds, LeaseTransitions: &transitions,
		},
	}
	if l.identity != "" {
		o.Spec.HolderIdentity = &l.identity
	}
	return o
}

// errNoEpochLeft says that the Lease counts as far as its field goes. Only somebody who edited it can have made that so.
var errNoEpochLeft = errors.New("its leaseTransitions leave no higher epoch, so somebody has edited it")

// writeLease creates or replaces the Lease on condition that it is still the one read (or none), in one request.
func (c *Client) writeLease(ctx context.Context, namespace, name string, l lease) (lease, error) {
	if l.epoch > math.MaxInt32 {
		return lease{}, fmt.Errorf("the Lease %[1]s/%[2]s: %[3]w; once no upgrader is at work: `kubectl -n %[1]s delete lease %[2]s`", namespace, name, errNoEpochLeft)
	}
	body, err := json.Marshal(toLease(namespace, name, l))
	if err != nil {
		return lease{}, fmt.Errorf("encoding the lock: %w", err)
	}
	request := func() *rest.Request {
		if !l.exists() {
			return c.rest.Post().AbsPath(coordination, "namespaces", namespace, "leases")
		}
		return c.rest.Put().AbsPath(coordination, "namespaces", namespace, "leases", name)
	}
	written := &coordinationv1.Lease{}
	if err := c.once(ctx, request().SetHeader("Content-Type", "application/json").Body(body), verbatim(written)); err != nil {
		return lease{}, err
	}
	return fromLease(written), nil
}
