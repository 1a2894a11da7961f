//go:build linux

package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// namespace is where the workload lives. Removing it removes all of it.
const namespace = "shop"

// Extras are parts of the workload that get in an upgrade's way.
type Extras struct {
	Bare     bool // a pod that no controller brings back
	Stubborn bool // a single replica whose disruption budget allows none
}

// Workload applies the workload and waits until every part of it is ready.
func (l *Lab) Workload(ctx context.Context, extras Extras, show io.Writer) error {
	start := time.Now()
	waits := [][]string{
		{"rollout", "status", "deployment/web"},
		{"rollout", "status", "statefulset/ledger"},
		{"rollout", "status", "daemonset/agent"},
	}
	manifests := []string{"web.yaml", "ledger.yaml", "agent.yaml"}
	if extras.Stubborn {
		manifests = append(manifests, "stubborn.yaml")
		waits = append(waits, []string{"rollout", "status", "deployment/stubborn"})
	}
	if extras.Bare {
		manifests = append(manifests, "bare.yaml")
		waits = append(waits, []string{"wait", "--for=condition=Ready", "pod/bare"})
	}
	if err := l.apply(ctx, manifests); err != nil {
		return err
	}
	for _, w := range waits {
		if _, err := output(l.Kubectl(ctx, append(w, "-n", namespace, "--timeout=3m")...)); err != nil {
			return fmt.Errorf("waiting for the workload: %w; see `lab kubectl get pods -n %s`", err, namespace)
		}
	}
	fmt.Fprintf(show, "%4.0f s  the workload is ready: http://%s/\n", time.Since(start).Seconds(), l.at(servicePort))
	return nil
}

func (l *Lab) apply(ctx context.Context, manifests []string) error {
	var all strings.Builder
	for _, m := range manifests {
		text, err := filesFS.ReadFile("files/workload/" + m)
		if err != nil {
			return fmt.Errorf("reading the workload: %w", err)
		}
		all.WriteString("---\n")
		all.Write(text)
	}
	apply := l.Kubectl(ctx, "apply", "-f", "-")
	apply.Stdin = strings.NewReader(all.String())
	if _, err := output(apply); err != nil {
		return fmt.Errorf("applying the workload: %w", err)
	}
	return nil
}

// RemoveWorkload removes all of it and waits until it is gone.
func (l *Lab) RemoveWorkload(ctx context.Context) error {
	if _, err := output(l.Kubectl(ctx, "delete", "namespace", namespace, "--ignore-not-found", "--timeout=3m")); err != nil {
		return fmt.Errorf("removing the workload: %w", err)
	}
	return nil
}
