package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
)

// NewAvailability tells the engine which hosts are out of service by the cluster's own account: cordoned by whomever,
// not Ready, or unknown to it.
func NewAvailability(c *Client) engine.Availability { return availability{c} }

type availability struct{ client *Client }

func (a availability) Down(ctx context.Context, hosts []string) (map[string]string, error) {
	nodes, err := a.client.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding out which nodes are in service: %w", err)
	}
	known := make(map[string]Node, len(nodes))
	for _, n := range nodes {
		known[n.Name] = n
	}
	down := map[string]string{}
	for _, host := range hosts {
		if node, ok := known[host]; !ok {
			down[host] = "not a node of the cluster"
		} else if why := node.OutOfService(time.Now()); why != "" {
			down[host] = why
		}
	}
	return down, nil
}

// OutOfService says in an operator's words why a node takes no pods, or "" if it does.
func (n Node) OutOfService(now time.Time) string {
	switch by := n.CordonedBy(); {
	case !n.Ready:
		return n.NotReady(now)
	case n.Unschedulable && by == "":
		return "cordoned by hand"
	case n.Unschedulable:
		return "cordoned by run " + by
	}
	return ""
}

// NotReady says since when a node is not Ready and why, or "" if it is.
func (n Node) NotReady(now time.Time) string {
	if n.Ready {
		return ""
	}
	words := "NotReady"
	if !n.ReadySince.IsZero() {
		words += " for " + Lasting(now.Sub(n.ReadySince))
	}
	if n.ReadyReason != "" {
		words += " (" + n.ReadyReason + ")"
	}
	return words
}

// Lasting says how long something has lasted, for people: in steps of ten seconds and then of a minute, so that a reason
// for waiting is not a new one at every look.
func Lasting(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "a few seconds"
	case d < time.Minute:
		return d.Truncate(10 * time.Second).String()
	}
	return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
}
