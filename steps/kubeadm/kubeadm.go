// Package kubeadm has the kinds that run `kubeadm upgrade` on hosts. It may import engine, remote, kube, promise, skew and
// census.
package kubeadm

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

// A Cluster is what this family asks of the API. *kube.Client is one.
type Cluster interface {
	census.Source
	JobEnding(ctx context.Context, namespace, name string) (bool, error)
}

// healthCheck waits for the Job that kubeadm makes before it plans or applies (cmd/kubeadm/app/phases/upgrade/health.go,
// createJob), while that of the kubeadm before is still being removed: the two would be in each other's way, and the
// second fail with [ERROR CreateJob].
func healthCheck(ctx context.Context, cluster Cluster) error {
	ending, err := cluster.JobEnding(ctx, "kube-system", "upgrade-health-check")
	if err != nil || !ending {
		return err
	}
	return engine.NotYet("the Job kube-system/upgrade-health-check of the kubeadm before is still being removed")
}

// Kinds returns kubeadm.plan and kubeadm.upgrade on these hosts and this cluster. Nil suffices for both to make and
// validate steps.
func Kinds(hosts remote.Hosts, cluster Cluster) []engine.Kind {
	turn := new(sync.Mutex) // control planes are upgraded one at a time, whatever the plan says
	return []engine.Kind{
		{Name: "kubeadm.plan", Scope: engine.OnHost, Doc: planDoc, New: func() engine.Step { return &Plan{hosts: hosts, cluster: cluster} }},
		{Name: "kubeadm.upgrade", Scope: engine.OnHost, Doc: upgradeDoc, New: func() engine.Step { return &Upgrade{hosts: hosts, cluster: cluster, turn: turn} }},
	}
}

var (
	//go:embed look.sh
	lookScript string
	//go:embed plan.sh
	planScript string
	//go:embed upgrade.sh
	upgradeScript string
)

// checkName is what kubeadm calls its preflight checks, or "all".
var checkName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

func validChecks(names []string) error {
	for _, n := range names {
		if !checkName.MatchString(n) {
			return fmt.Errorf("ignorePreflightErrors: %q is not the name of a check: want one as kubeadm prints it in [ERROR Name], or all", n)
		}
	}
	return nil
}

// target reads the version that a plan gives.
func target(version string) (skew.Version, error) {
	v, err := skew.Parse(version)
	if err != nil {
		return v, fmt.Errorf("version: %w", err)
	}
	return v, nil
}

// installed refuses a host whose kubeadm is not the target's, unless a dry run has promised it. ready tells whether it
// is there now.
func installed(host string, l local, want skew.Version, expect engine.Promises) (ready bool, err error) {
	if l.kubeadm == want {
		return true, nil
	}
	promised, err := skew.OfRevision(expect.Promised(facts.Package(host, "kubeadm")))
	if err == nil && promised == want {
		return false, nil
	}
	return false, engine.Refuse(fmt.Sprintf("kubeadm on %s is %s, and an upgrade to %s needs kubeadm %s", host, l.kubeadm, want, want),
		"let packages.install bring kubeadm to that version first")
}

// list is how kubeadm takes several names in one flag.
func list(names []string) string { return strings.Join(names, ",") }
