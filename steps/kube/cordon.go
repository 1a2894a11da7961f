package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
)

// ErrUncordoned says that somebody else has uncordoned a node that this run had cordoned: the mark is there and the
// cordon is not.
var ErrUncordoned = errors.New("uncordoned by somebody else")

// A ForeignCordonError says that a node is not uncordoned, because its cordon is not this run's.
type ForeignCordonError struct {
	Node string
	By   string // RUN/STEP of another run; empty: cordoned by hand
}

// Error says whose cordon it is and what the operator can do.
func (e *ForeignCordonError) Error() string {
	if e.By == "" {
		return fmt.Sprintf("node %s was cordoned by hand and stays so; when it may take pods again: `kubectl uncordon %s`", e.Node, e.Node)
	}
	return fmt.Sprintf("node %s was cordoned by upgrader's run %s and stays so; go on with that run (`upgrader resume %s`), or `kubectl uncordon %s`",
		e.Node, e.By, RunOf(e.By), e.Node)
}

// RunOf is the run of an owner's mark (RUN/STEP).
func RunOf(owner string) string {
	run, _, _ := strings.Cut(owner, "/")
	return run
}

// CordonedBy is the mark of the run and step that cordoned the node; empty if upgrader did not.
func (n Node) CordonedBy() string { return printable.Line(n.Annotations[CordonedBy], printable.Word) }

// UncordonedSince says whether somebody else uncordoned the node after this run had cordoned it: the run's mark is there
// and the cordon is not.
func (n Node) UncordonedSince(run string) bool {
	return !n.Unschedulable && n.CordonedBy() != "" && RunOf(n.CordonedBy()) == run
}

// Cordon makes a node unschedulable and marks it with owner (RUN/STEP), both in one conditional patch. A node that is
// cordoned already stays as it is: a cordon of somebody else is never taken over. ErrUncordoned if the node has the
// mark of owner's run and is not cordoned; engine.ErrFenced if an upgrader of a higher epoch has written on it;
// engine.NotYet if admission does not let it through now.
func (c *Client) Cordon(ctx context.Context, node, owner string) error {
	what := "cordoning node " + node
	var seen Node
	return converge(ctx, what, func() (done bool, err error) {
		if seen, err = c.unfenced(ctx, node); err != nil {
			return false, err
		}
		if seen.UncordonedSince(RunOf(owner)) {
			return false, fmt.Errorf("node %s: %w, while run %s had it cordoned", node, ErrUncordoned, RunOf(owner))
		}
		return seen.Unschedulable, nil
	}, func() (bool, error) {
		return heldUp(what, c.patchNode(ctx, seen, map[string]any{CordonedBy: owner}, true))
	})
}

// Uncordon makes a node schedulable again and takes the mark away, both in one conditional patch. It does so only if
// the mark is of owner's run (the part before the slash); otherwise the error is a *ForeignCordonError. A node that is
// neither cordoned nor marked is left alone. engine.ErrFenced and engine.NotYet as for Cordon.
func (c *Client) Uncordon(ctx context.Context, node, owner string) error {
	what := "uncordoning node " + node
	var seen Node
	return converge(ctx, what, func() (done bool, err error) {
		if seen, err = c.unfenced(ctx, node); err != nil {
			return false, err
		}
		by := seen.CordonedBy()
		if by != "" && RunOf(by) == RunOf(owner) {
			return false, nil
		}
		if seen.Unschedulable {
			return false, &ForeignCordonError{Node: node, By: by}
		}
		return true, nil
	}, func() (bool, error) {
		return heldUp(what, c.patchNode(ctx, seen, map[string]any{CordonedBy: nil}, nil))
	})
}

// unfenced reads a node and refuses it where somebody has written on it under a higher epoch than this client's.
func (c *Client) unfenced(ctx context.Context, name string) (Node, error) {
	n, err := c.Node(ctx, name)
	mark := n.Annotations[Epoch]
	if err != nil || c.lock == nil || mark == "" {
		return n, err
	}
	epoch, err := strconv.ParseInt(mark, 10, 64)
	if err != nil {
		return n, fmt.Errorf("node %s: its annotation %s is %q, which is no epoch of upgrader; take it away: `kubectl annotate node %s %s-`", name, Epoch, mark, name, Epoch)
	}
	if mine := c.lock.Epoch(); epoch > mine {
		return n, fmt.Errorf("node %s: %w: it was written under epoch %d, and this run's is %d; if no other upgrader was ever at work here: `kubectl annotate node %s %s-`",
			name, engine.ErrFenced, epoch, mine, name, Epoch)
	}
	return n, nil
}

// patchNode changes a node on condition that it is still the one that was seen, in the version that was seen. The epoch
// stays on it also when the cordon goes, so that whoever had the lock before is refused.
func (c *Client) patchNode(ctx context.Context, seen Node, annotations map[string]any, unschedulable any) error {
	if c.lock != nil {
		annotations[Epoch] = strconv.FormatInt(c.lock.Epoch(), 10)
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": seen.UID, "resourceVersion": seen.ResourceVersion, "annotations": annotations},
		"spec":     map[string]any{"unschedulable": unschedulable},
	})
	if err != nil {
		return fmt.Errorf("encoding the patch: %w", err)
	}
	return c.change(ctx, c.rest.Patch(types.MergePatchType).AbsPath(core, "nodes", seen.Name).Body(body), into(&corev1.Node{}))
}
