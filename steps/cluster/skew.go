package cluster

import (
	"context"
	"errors"
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/skew"
)

const skewDoc = `Opens when the versions that run allow the upgrade.
It reads the versions of every kubelet, API server, controller manager, scheduler, kube-proxy and member of etcd beside
them and of kubeadm-config from the cluster, and holds them against Kubernetes' version skew policy and kubeadm's own
rules for the way to ` + "`to`" + `. The control plane must be where the upgrade may begin (` + "`from`" + `), where it ends
(` + "`to`" + `), or both in part, as after an interruption. A refusal lists every violation with its host, what it has, what is
wanted and what to do. A static pod of a control plane that the API does not know, as for a moment when it is replaced, is
waited for, but no longer than 5 minutes. It changes nothing.`

// Skew is version.skew.
type Skew struct {
	cluster census.Source

	From string `yaml:"from" default:"${{ versions.from }}" doc:"constraint on the versions that the upgrade may start from, such as >=1.27.0 <1.28.0"`
	To   string `yaml:"to" default:"${{ versions.to }}" doc:"version to upgrade to, such as 1.28.15"`
}

var _ engine.Gate = (*Skew)(nil)

// Gate marks the type: it only ever refuses or allows.
func (*Skew) Gate() {}

// Validate checks the constraint and the version.
func (k *Skew) Validate() error {
	var errs []error
	if k.To != "" {
		if _, err := skew.Parse(k.To); err != nil {
			errs = append(errs, fmt.Errorf("to: %w", err))
		}
	}
	if k.From != "" {
		if _, err := skew.Allows(k.From, skew.Version{}); err != nil {
			errs = append(errs, fmt.Errorf("from: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Observe takes a census and holds it against the policy.
func (k *Skew) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	to, err := skew.Parse(k.To)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	c, err := census.Take(ctx, k.cluster)
	if err != nil {
		return nil, fmt.Errorf("reading the versions of the cluster: %w", err)
	}
	c.Promise(s)
	if err := c.Complete(s); err != nil {
		return nil, err
	}
	o := c.Observed()
	o.From, o.Target = k.From, to
	if err := c.Towards(&o); err != nil {
		return nil, fmt.Errorf("reading what is known of %s: %w", to, err)
	}
	violations := c.Blocking(o)
	if v, ok := k.stored(c.Config.Version, to); !ok {
		violations = append(violations, v)
	}
	if len(violations) == 0 {
		return nil, nil
	}
	return nil, refuse(to, violations)
}

// stored holds the version of kubeadm-config against from and to. It is written once the first control plane is done.
func (k *Skew) stored(have, to skew.Version) (skew.Violation, bool) {
	if have == to && !have.IsZero() {
		return skew.Violation{}, true
	}
	v := skew.Violation{Rule: "kubeadm-config", Where: "kubernetesVersion in kubeadm-config", Have: have.String(), Want: to.String(), Mandatory: true}
	if k.From == "" {
		return v, !have.IsZero()
	}
	v.Want = k.From + " or " + to.String()
	allowed, err := skew.Allows(k.From, have)
	return v, err == nil && allowed && !have.IsZero()
}

func refuse(to skew.Version, violations []skew.Violation) error {
	return engine.Refuse(fmt.Sprintf("the cluster cannot go to %s as it is: %s", to, census.Explain(violations)),
		"then resume, or start again")
}
