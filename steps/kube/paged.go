package kube

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

const (
	pageSize  = 500     // kubectl's chunk size
	mostItems = 300_000 // of one list: twice the pods of the largest cluster that Kubernetes supports
	mostPages = 20_000  // of one list, however little is on them
	mostAnew  = 2       // fresh starts of one list whose snapshot was gone before its last page
	whole     = 0       // the size of a page that has all of a list
)

// A query says which objects to list, and what they are called in an error.
type query struct {
	what           string
	path           []string
	labels, fields string // selectors
	accept         string // media type; empty: plain JSON
}

func (q query) request(c *Client, size int, next string) *rest.Request {
	req := c.rest.Get().AbsPath(q.path...)
	if size != whole {
		req = req.Param("limit", strconv.Itoa(size))
	}
	if q.accept != "" {
		req = req.SetHeader("Accept", q.accept)
	}
	for name, value := range map[string]string{"labelSelector": q.labels, "fieldSelector": q.fields, "continue": next} {
		if value != "" {
			req = req.Param(name, value)
		}
	}
	return req
}

// paged reads a list page by page; open takes the objects out of one, and what continues it. It begins anew if the server
// no longer has the snapshot that the pages came from, but not for ever (see place), and asks for smaller pages if one is
// larger than mostBytes. A list that does not end is an error.
func paged[T any](ctx context.Context, c *Client, q query, open func(rest.Result) ([]T, string, error)) ([]T, error) {
	var all []T
	at := place{size: pageSize}
	for read := 0; read < mostPages && len(all) <= mostItems; read++ {
		var items []T
		var following string
		err := c.read(ctx, q.what, func() *rest.Request { return q.request(c, at.size, at.next) }, func(r rest.Result) (err error) {
			items, following, err = open(r)
			return err
		})
		switch {
		case at.next != "" && apierrors.IsResourceExpired(err):
			if at.expired(err); at.next == "" {
				all = nil
			}
			continue
		case errors.Is(err, errTooLarge) && at.size > 1:
			at.size = max(1, at.size/10)
			continue
		case err != nil:
			return nil, err
		}
		all = append(all, items...)
		if at.next = following; at.next == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("reading %s: the list does not end: %d of them so far, which is more than a cluster can have; is %s an API server of Kubernetes?", q.what, len(all), c.Host())
}

// A place is how far a list was read.
type place struct {
	next    string // what continues it; empty: its beginning
	size    int    // of the page that comes
	anew    int    // how often it was begun anew
	offered string // what the server last offered in the place of what had expired
}

// expired is where to go on when the snapshot of the pages is gone. A busy etcd may forget each one before its second page is
// asked for. So after a few fresh starts the rest is read from a newer snapshot, as the server offers it with its refusal
// (k8s.io/apiserver pkg/storage/etcd3, handleCompactedErrorForPaging): what was there all the time is on the list once,
// which a list of one moment promises no more about than that moment. A server that offers nothing, or nothing that holds,
// is asked for all at once, as client-go's pager asks it (tools/pager/pager.go).
func (p *place) expired(err error) {
	var status apierrors.APIStatus
	offer := ""
	if errors.As(err, &status) {
		offer = status.Status().Continue
	}
	switch {
	case p.anew < mostAnew:
		p.next, p.anew = "", p.anew+1
	case offer != "" && p.next != p.offered:
		p.next, p.offered = offer, offer
	default:
		p.next, p.size = "", whole
	}
}
