// Package systemd has the kind that brings a systemd unit to run what is installed: systemd.restart. It may import
// engine, steps/remote, steps/kube, steps/census, steps/facts and steps/skew.
package systemd

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

const restartDoc = `Makes sure that a systemd unit runs, and runs what is installed and configured now.
It observes three things that no clock or package manager can blur: whether the program of the main process is still the
file on disk (a package upgrade replaces it), whether systemd has read the unit's files as they are, and whether the
unit was started after its configuration files were written. If not, it restarts the unit, once. It waits for a unit that is
starting or between two restarts of its own, with its last words. It refuses a unit that does not exist, and a node that
this run had cordoned and somebody uncordoned since: pods may be on it again. It also refuses a kubelet that the restart
would bring to a version that the version skew policy forbids, by what runs in the cluster now.`

// A Cluster is what this family asks of the API: whether a host is a node out of service, and which versions run.
// *kube.Client is one.
type Cluster interface {
	census.Running
	Node(ctx context.Context, name string) (kube.Node, error)
}

// Kinds returns the kinds of this family, on these hosts and their cluster. Both may be nil for everything but Observe.
func Kinds(hosts remote.Hosts, cluster Cluster) []engine.Kind {
	return []engine.Kind{{
		Name: "systemd.restart", Doc: restartDoc, Scope: engine.OnHost,
		New: func() engine.Step { return &restart{hosts: hosts, cluster: cluster} },
	}}
}

var (
	//go:embed look.sh
	lookSh string
	//go:embed restart.sh
	restartSh string
)

type restart struct {
	hosts   remote.Hosts
	cluster Cluster

	Unit  string   `yaml:"unit" required:"true" doc:"Name of the unit, such as kubelet or containerd.service."`
	Files []string `yaml:"files" doc:"Configuration files that the unit reads only when it starts; for kubelet those that kubeadm writes, if none are given."`
}

// kubeletFiles are what kubeadm writes for kubelet to read at its start (phases/kubelet/config.go, flags.go) and what the
// packages' drop-in includes.
var kubeletFiles = []string{
	"/var/lib/kubelet/config.yaml", "/var/lib/kubelet/kubeadm-flags.env", "/var/lib/kubelet/instance-config.yaml",
	"/etc/default/kubelet", "/etc/sysconfig/kubelet",
}

var (
	unitForm = regexp.MustCompile(`^[A-Za-z0-9:_.@\\-]+$`)
	fileForm = regexp.MustCompile(`^/[A-Za-z0-9_./@:+-]+$`)
)

// Validate checks the names.
func (r *restart) Validate() error {
	if !unitForm.MatchString(r.Unit) || strings.HasPrefix(r.Unit, "-") {
		return fmt.Errorf("unit: %q is not the name of a unit", r.Unit)
	}
	for _, f := range r.Files {
		if !fileForm.MatchString(f) {
			return fmt.Errorf("files: %q is not an absolute path of letters, digits and ./_-@:+", f)
		}
	}
	return nil
}

// name is the unit without .service: also the name of its package, as far as this program is concerned.
func (r *restart) name() string { return strings.TrimSuffix(r.Unit, ".service") }

// unit is the full name of the unit.
func (r *restart) unit() string {
	if strings.Contains(r.Unit, ".") {
		return r.Unit
	}
	return r.Unit + ".service"
}

// Disrupts marks the kind: what the unit serves is away for a moment, or for good.
func (*restart) Disrupts() {}

func (r *restart) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host := s.Target.Name
	if s.Promised(facts.Restarted(host, r.name())) == "true" {
		return nil, nil
	}
	h, err := r.hosts.Host(host)
	if err != nil {
		return nil, err
	}
	files := r.Files
	if len(files) == 0 && r.name() == "kubelet" {
		files = kubeletFiles
	}
	out, err := h.Query(ctx, remote.Script{Text: lookSh, Env: map[string]string{"UNIT": r.unit(), "FILES": strings.Join(files, " ")}})
	if err != nil {
		return nil, fmt.Errorf("looking at %s on %s: %w", r.Unit, host, err)
	}
	u, err := parse(out.Stdout)
	if err != nil {
		return nil, fmt.Errorf("looking at %s on %s: %w", r.Unit, host, err)
	}
	why := u.stale()
	if promised := r.promised(host, s); why == "" {
		why = promised
	}
	switch {
	case u.properties["LoadState"] == "not-found":
		return nil, engine.Refuse(fmt.Sprintf("there is no unit %s on %s", r.unit(), host), "correct its name in the plan, or install the package that brings it")
	case u.busy():
		return nil, engine.NotYet("%s on %s is %s", r.unit(), host, u.words())
	case why == "":
		return nil, nil
	}
	if err := r.uncordoned(ctx, s); err != nil {
		return nil, err
	}
	if err := r.forbidden(ctx, s, u); err != nil {
		return nil, err
	}
	return []engine.Change{r.change(h, s, u, why)}, nil
}

// uncordoned returns the refusal to restart anything on a node that somebody else put back into service in the middle of
// this run. A host that is no node has no pods, and an API that is away says nothing: a restart may be what it waits for.
func (r *restart) uncordoned(ctx context.Context, s engine.Scene) error {
	host := s.Target.Name
	n, err := r.cluster.Node(ctx, host)
	if err != nil || !n.UncordonedSince(s.Run) {
		return nil //nolint:nilerr // see above
	}
	return engine.Refuse(
		fmt.Sprintf("node %s was uncordoned by somebody else after this run had drained it (its annotation %s is still %s)", host, kube.CordonedBy, n.CordonedBy()),
		fmt.Sprintf("find out who wants pods on it; then `kubectl drain %s --ignore-daemonsets --delete-emptydir-data` and `upgrader resume %s`", host, s.Run))
}

// forbidden returns the refusal to bring a kubelet to a version that the version policy forbids: it is the restart, not
// the installation, that moves the version that runs. A kubelet that does not run may be what the API waits for, so while
// the API is away that one is started all the same, and one that runs is left alone until the API is back.
func (r *restart) forbidden(ctx context.Context, s engine.Scene, u unit) error {
	to, err := skew.Parse(r.kubelet(s.Target.Name, s, u))
	if err != nil || !u.moves() && s.Promised(facts.Package(s.Target.Name, r.name())) == "" {
		return nil //nolint:nilerr // another unit, or a host that does not tell: the installation was judged
	}
	err = census.Forbidden(ctx, r.cluster, s, census.Move{Host: s.Target.Name, Kubelet: to})
	if _, away := errors.AsType[*engine.TransientError](err); away && !u.active() {
		return nil
	}
	return err
}

func (r *restart) change(h remote.Host, s engine.Scene, u unit, why string) engine.Change {
	host := s.Target.Name
	then := engine.Facts{facts.Restarted(host, r.name()): "true"}
	if v := r.kubelet(host, s, u); v != "" {
		then[facts.Kubelet(host)] = v
	}
	return engine.Change{
		Say:     "restart " + r.Unit,
		Expects: why,
		Then:    then,
		Repeat:  engine.Guarded,
		Do: func(ctx context.Context, t engine.Ticket) error {
			// systemd goes on by itself when systemctl is stopped
			return h.Do(ctx, t, remote.Job{Name: "systemctl restart " + r.unit(), Safe: true,
				Script: remote.Script{Text: restartSh, Env: map[string]string{"UNIT": r.unit()}}})
		},
	}
}

// promised says why an earlier change of a dry run will make this restart necessary, or "".
func (r *restart) promised(host string, expect engine.Promises) string {
	keys := []string{facts.Package(host, r.name())}
	if r.name() == "kubelet" { // kubeadm writes its configuration
		keys = append(keys, facts.ControlPlane(host), facts.Configured(host))
	}
	for _, k := range keys {
		if expect.Promised(k) != "" {
			return "waits for " + expect.Promised(k)
		}
	}
	return ""
}

// kubelet is the version that runs after the restart, if the unit is kubelet: the one promised, or the one installed.
func (r *restart) kubelet(host string, expect engine.Promises, u unit) string {
	if r.name() != "kubelet" {
		return ""
	}
	v, err := skew.OfRevision(expect.Promised(facts.Package(host, "kubelet")))
	if err != nil {
		if v, err = skew.Parse(strings.TrimPrefix(u.version, "Kubernetes ")); err != nil {
			return ""
		}
	}
	return v.String()
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
