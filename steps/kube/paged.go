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
)

// A query says which objects to list, and what they are called in an error.
type query struct {
	what           string
	path           []string
	labels, fields string // selectors
	accept         string // media type; empty: plain JSON
}

func (q query) request(c *Client, size int, next string) *rest.Request {
	req := c.rest.Get().AbsPath(q.path...).Param("limit", strconv.Itoa(size))
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
// no longer has the snapshot that the pages came from, and asks for smaller pages if one is larger than mostBytes. A
// list that does not end is an error.
func paged[T any](ctx context.Context, c *Client, q query, open func(rest.Result) ([]T, string, error)) ([]T, error) {
	var all []T
	next, size := "", pageSize
	for read := 0; read < mostPages && len(all) <= mostItems; read++ {
		var items []T
		var following string
		err := c.read(ctx, q.what, func() *rest.Request { return q.request(c, size, next) }, func(r rest.Result) (err error) {
			items, following, err = open(r)
			return err
		})
		switch {
		case next != "" && apierrors.IsResourceExpired(err):
			next, all = "", nil
			continue
		case errors.Is(err, errTooLarge) && size > 1:
			size = max(1, size/10)
			continue
		case err != nil:
			return nil, err
		}
		all = append(all, items...)
		if next = following; next == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("reading %s: the list does not end: %d of them so far, which is more than a cluster can have; is %s an API server of Kubernetes?", q.what, len(all), c.Host())
}
