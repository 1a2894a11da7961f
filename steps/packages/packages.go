// Package packages has the kinds that bring a host's packages to exact revisions: packages.repository,
// packages.available and packages.install. It may import engine, and of steps census, facts, inquiry, remote and skew.
//
// Installed means: that very revision, fully configured, with nothing on the host half done by dpkg. A package that was
// held is held afterwards. Nothing is ever downgraded, and a lock of apt or dpkg is waited for, never broken.
package packages

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

// lockTimeout is how long a job waits for the lock of apt or dpkg by itself. An observation waits for it before, for as
// long as the step may take, so this is only for a lock taken in the moment between.
const lockTimeout = 10 * time.Minute

// Kinds returns the kinds of this family, on these hosts and their cluster. Both may be nil for everything but Observe.
func Kinds(hosts remote.Hosts, cluster census.Running) []engine.Kind {
	return []engine.Kind{
		{Name: "packages.repository", Doc: repositoryDoc, Scope: engine.OnHost, New: func() engine.Step { return &repository{hosts: hosts} }},
		{Name: "packages.available", Doc: availableDoc, Scope: engine.OnHost, New: func() engine.Step { return &available{hosts: hosts} }},
		{Name: "packages.install", Doc: installDoc, Scope: engine.OnHost, New: func() engine.Step { return &install{hosts: hosts, cluster: cluster} }},
	}
}

// revisions are packages with the exact revision that each shall have.
type revisions map[string]string

var (
	nameForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)            // Debian policy 5.6.1
	revisionForm = regexp.MustCompile(`^([0-9]+:)?[0-9][0-9A-Za-z.+~-]*$`) // Debian policy 5.6.12
)

func (r revisions) validate() error {
	if len(r) == 0 {
		return fmt.Errorf("packages: name at least one, such as {kubeadm: 1.28.15-1.1}")
	}
	for _, name := range r.names() {
		rev := r[name]
		switch {
		case !nameForm.MatchString(name):
			return fmt.Errorf("packages: %q is not the name of a package", name)
		case strings.ContainsAny(rev, "*?"):
			return fmt.Errorf("packages: %s: %q is a pattern; name one exact revision, as apt-cache madison %s prints it", name, rev, name)
		case !revisionForm.MatchString(rev):
			return fmt.Errorf("packages: %s: %q is not a revision; want one such as 1.28.15-1.1", name, rev)
		case slices.Contains(kubernetes, name):
			if _, err := skew.OfRevision(rev); err != nil {
				return fmt.Errorf("packages: %s: %w", name, err)
			}
		}
	}
	return nil
}

// kubernetes are the packages whose revision is made of the version of Kubernetes.
var kubernetes = []string{"kubeadm", "kubectl", "kubelet"}

// names returns the packages in alphabetical order.
func (r revisions) names() []string { return slices.Sorted(maps.Keys(r)) }

// say returns "kubectl 1.28.15-1.1, kubelet 1.28.15-1.1".
func (r revisions) say() string { return r.join(", ", " ") }

// args returns "kubectl=1.28.15-1.1 kubelet=1.28.15-1.1".
func (r revisions) args() string { return r.join(" ", "=") }

func (r revisions) join(between, within string) string {
	var all []string
	for _, n := range r.names() {
		all = append(all, n+within+r[n])
	}
	return strings.Join(all, between)
}

// line returns the minor version whose repository holds this revision, or "" if it is none of Kubernetes.
func line(revision string) string {
	v, err := skew.OfRevision(revision)
	if err != nil {
		return ""
	}
	return v.Line()
}
