package kubeadm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
)

const planDoc = `Lets kubeadm itself judge, on a control plane, whether the cluster is fit to be upgraded.
kubeadm looks at its health, its own preflight checks and its configuration here, and not at the version: the skew guard
judges that, and kubeadm itself only when it upgrades. The kind runs ` + "`kubeadm upgrade plan VERSION`" + ` once per run and
refuses with kubeadm's own words if that fails. It is a change and no mere look, because kubeadm's preflight makes a Job in
kube-system (upgrade-health-check) and removes it again; so a dry run only announces it. A note in
/var/lib/upgrader/kubeadm-plan says that this run has seen it succeed. Nothing is left to judge once the host's control plane
and kubeadm-config are at the version. Needs kubeadm of that very version.`

// Plan is kubeadm.plan.
type Plan struct {
	hosts   remote.Hosts
	cluster Cluster

	Version               string   `yaml:"version" default:"${{ versions.to }}" doc:"version to upgrade to, such as 1.28.15"`
	IgnorePreflightErrors []string `yaml:"ignorePreflightErrors" doc:"names of kubeadm's checks whose errors become warnings; all for every one"`
}

// DefaultTimeout covers kubeadm's health check job of 15 s (60 s from 1.36 on) and a slow API several times over.
func (*Plan) DefaultTimeout() time.Duration { return 5 * time.Minute }

// Validate checks what can be checked without a host.
func (p *Plan) Validate() error {
	if p.Version != "" {
		if _, err := target(p.Version); err != nil {
			return err
		}
	}
	return validChecks(p.IgnorePreflightErrors)
}

// Observe finds out whether this run has asked kubeadm already.
func (p *Plan) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	want, err := target(p.Version)
	if err != nil {
		return nil, err
	}
	host, err := p.hosts.Host(s.Target.Name)
	if err != nil {
		return nil, err
	}
	l, err := look(ctx, host, want)
	if err != nil {
		return nil, err
	}
	if l.worker() {
		return nil, engine.Refuse(host.Name()+" is no control plane, and only there can kubeadm plan an upgrade", "give the step `hosts: control-plane[0]`")
	}
	config, err := census.ReadConfig(ctx, p.cluster)
	if err != nil {
		return nil, err
	}
	note := "v" + want.String() + " " + s.Run
	fact := "planned@" + host.Name()
	if l.planned == note || s.Promised(fact) == want.String() || s.Promised(facts.ControlPlane(host.Name())) == want.String() ||
		config.Version == want && l.reached(want) {
		return nil, nil
	}
	if _, err := installed(host.Name(), l, want, s); err != nil {
		return nil, err
	}
	if err := healthCheck(ctx, p.cluster); err != nil {
		return nil, err
	}
	return []engine.Change{{
		Say:     "kubeadm upgrade plan v" + want.String(),
		Then:    engine.Facts{fact: want.String()},
		Repeat:  engine.Guarded,
		Expects: l.words() + "; kubeadm-config " + config.Version.String(),
		Do: func(ctx context.Context, t engine.Ticket) error {
			return p.do(ctx, t, host, map[string]string{"VERSION": want.String(), "RUN": s.Run, "IGNORE": list(p.IgnorePreflightErrors)})
		},
	}}, nil
}

func (p *Plan) do(ctx context.Context, t engine.Ticket, host remote.Host, env map[string]string) error {
	err := host.Do(ctx, t, remote.Job{
		Name:   "kubeadm upgrade plan v" + env["VERSION"],
		Safe:   true, // the next one removes the Job that a killed one leaves
		Script: remote.Script{Text: planScript, Env: env},
	})
	if exit, ok := errors.AsType[*remote.ExitError](err); ok {
		return engine.Refuse(fmt.Sprintf("kubeadm on %s refuses an upgrade to v%s: %s", host.Name(), env["VERSION"], relevant(exit.Tail)),
			"mend what it names, or list the check in ignorePreflightErrors, then resume")
	}
	if err != nil {
		return fmt.Errorf("kubeadm upgrade plan on %s: %w", host.Name(), err)
	}
	return nil
}

// relevant keeps the lines in which kubeadm names a fault, or the last ones.
func relevant(tail string) string {
	var all, faults []string
	for line := range strings.Lines(tail) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		all = append(all, line)
		if lower := strings.ToLower(line); strings.Contains(lower, "error") || strings.Contains(lower, "fatal") {
			faults = append(faults, line)
		}
	}
	if len(faults) == 0 {
		faults = all[max(0, len(all)-5):]
	}
	return strings.Join(faults, "; ")
}
