package kubeadm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

const upgradeDoc = `Brings a host to the version with kubeadm: apply on the first control plane, node everywhere else.
Which host is the first is seen, not declared: while kubeadm-config is below the version, it is the control plane that the
step runs on; an upgrade that was begun on another host refuses until that one is finished. On a control plane the goal is
that API server, controller manager and scheduler run the version, in their manifests and as pods, that kubeadm-config
names it, that etcd is at kubeadm's choice (or where the operator pinned it), and that API server and etcd are Ready. CoreDNS and
kube-proxy follow with the last control plane and are not waited for. On a worker the goal is the mark that the job leaves
in /var/lib/upgrader/kubeadm-upgrade, since a new kubelet configuration may equal the old one. The same mark tells of a
kubeadm that did not come to its end; then the same command runs again, which is kubeadm's documented recovery.
Needs kubeadm of that very version on the host, and refuses what the version skew policy forbids and a worker before its
control plane. The job is never killed; control planes take turns.`

// Upgrade is kubeadm.upgrade.
type Upgrade struct {
	hosts   remote.Hosts
	cluster Cluster
	turn    *sync.Mutex

	Version               string   `yaml:"version" default:"${{ versions.to }}" doc:"version to upgrade to, such as 1.28.15"`
	IgnorePreflightErrors []string `yaml:"ignorePreflightErrors" doc:"names of kubeadm's checks whose errors become warnings; all for every one"`
	Patches               string   `yaml:"patches" doc:"directory on the host with patches for kubeadm's manifests"`
	EtcdUpgrade           bool     `yaml:"etcdUpgrade" default:"true" doc:"let kubeadm upgrade stacked etcd"`
	CertificateRenewal    bool     `yaml:"certificateRenewal" default:"true" doc:"let kubeadm renew the certificates of what it replaces"`
	Config                string   `yaml:"config" doc:"file on the host with an UpgradeConfiguration (from 1.31 on) in place of patches, etcdUpgrade and certificateRenewal"`
}

// Disrupts marks the kind: the static pods of a control plane are away while it runs.
func (*Upgrade) Disrupts() {}

// DefaultTimeout is generous: kubeadm waits up to five minutes for each of four static pods (UpgradeManifestTimeout in
// cmd/kubeadm/app/phases/upgrade), and pulls images before.
func (*Upgrade) DefaultTimeout() time.Duration { return 30 * time.Minute }

// Validate checks what can be checked without a host.
func (u *Upgrade) Validate() error {
	if u.Version != "" {
		if _, err := target(u.Version); err != nil {
			return err
		}
	}
	if u.Config != "" && (u.Patches != "" || !u.EtcdUpgrade || !u.CertificateRenewal) {
		return errors.New("config: kubeadm takes patches, etcdUpgrade and certificateRenewal from this file; set them there and not here")
	}
	for name, file := range map[string]string{"patches": u.Patches, "config": u.Config} {
		if file != "" && !path.IsAbs(file) {
			return fmt.Errorf("%s: %q must be an absolute path on the host", name, file)
		}
	}
	return validChecks(u.IgnorePreflightErrors)
}

// Observe finds out whether kubeadm still has to run here, and as what.
func (u *Upgrade) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	want, err := target(u.Version)
	if err != nil {
		return nil, err
	}
	if u.Config != "" && want.Minor() < 31 {
		return nil, engine.Refuse(fmt.Sprintf("config: kubeadm %s does not read an UpgradeConfiguration; 1.31 is the first that does", want),
			"leave config out and set patches, etcdUpgrade and certificateRenewal instead")
	}
	host, err := u.hosts.Host(s.Target.Name)
	if err != nil {
		return nil, err
	}
	l, err := look(ctx, host, want)
	if err != nil {
		return nil, err
	}
	if err := l.belongs(s.Target); err != nil {
		return nil, err
	}
	v := view{local: l, host: host.Name(), want: want, scene: s}
	if v.settled() {
		return nil, nil
	}
	if v.census, err = census.Take(ctx, u.cluster); err != nil {
		if lost := l.whole(host.Name(), l.missing[census.Etcd] != ""); !l.worker() && lost != nil {
			return nil, lost // the API may be away for that very reason
		}
		return nil, fmt.Errorf("asking the cluster about %s: %w", host.Name(), err)
	}
	v.census.Promise(s)
	verb, err := u.decide(&v)
	if verb == "" || err != nil {
		return nil, err
	}
	if verb == "apply" {
		if err := healthCheck(ctx, u.cluster); err != nil {
			return nil, err
		}
	}
	return []engine.Change{u.change(host, &v, verb)}, nil
}

// belongs refuses a host whose groups contradict what it runs.
func (l local) belongs(t engine.Target) error {
	switch {
	case l.worker() && t.In(engine.ControlPlane):
		return engine.Refuse(t.Name+" belongs to the control plane, but /etc/kubernetes/manifests holds nothing of one",
			"put its static pods' manifests back (kubeadm keeps copies in /etc/kubernetes/tmp), or take it out of the group control-plane")
	case !l.worker() && t.In(engine.Workers):
		return engine.Refuse(t.Name+" is among the workers, but runs a control plane",
			"label its node node-role.kubernetes.io/control-plane, or put it into the group control-plane of the inventory")
	}
	return nil
}

// decide returns the verb that is left to run, or none, once nothing forbids it.
func (u *Upgrade) decide(v *view) (verb string, err error) {
	if err := v.possible(); err != nil {
		return "", err
	}
	if v.worker() {
		verb, err = v.onWorker()
	} else {
		verb, err = v.onControlPlane(u.EtcdUpgrade && u.Config == "")
	}
	if verb == "" || err != nil {
		return "", err
	}
	if _, err := installed(v.host, v.local, v.want, v.scene); err != nil {
		return "", err
	}
	return verb, v.skewed()
}

// The API of a single control plane is away while its API server and its etcd restart, each as long as kubeadm waits for
// a static pod at most; with others it falters while connections move (measured: seconds).
const (
	outageAlone = 5 * time.Minute
	outageAmong = 2 * time.Minute
)

func (u *Upgrade) change(host remote.Host, v *view, verb string) engine.Change {
	version := "v" + v.want.String()
	c := engine.Change{
		Say:     "kubeadm upgrade node (" + version + ")",
		Repeat:  engine.Guarded,
		Expects: v.words() + "; kubeadm-config " + v.census.Config.Version.String(),
		Then:    engine.Facts{facts.Configured(v.host): v.want.String()},
	}
	if verb == "apply" {
		c.Say = "kubeadm upgrade apply " + version
	}
	if !v.worker() {
		c.Then = engine.Facts{facts.ControlPlane(v.host): v.want.String(), facts.ClusterVersion: v.want.String()}
		c.Outage = outageAmong
		if v.census.ControlPlanes() <= 1 {
			c.Outage = outageAlone
		}
	}
	job := u.job(c.Say, verb, v.want)
	c.Do = func(ctx context.Context, t engine.Ticket) error {
		if !v.worker() {
			if !u.turn.TryLock() {
				return engine.NotYet("kubeadm upgrades another control plane, and they take turns")
			}
			defer u.turn.Unlock()
		}
		return host.Do(ctx, t, job)
	}
	return c
}

func (u *Upgrade) job(name, verb string, want skew.Version) remote.Job {
	return remote.Job{Name: name, Script: remote.Script{Text: upgradeScript, Env: map[string]string{
		"VERB": verb, "VERSION": want.String(),
		"IGNORE": list(u.IgnorePreflightErrors), "PATCHES": u.Patches, "CONFIG": u.Config,
		"ETCD_UPGRADE": strconv.FormatBool(u.EtcdUpgrade), "CERTIFICATE_RENEWAL": strconv.FormatBool(u.CertificateRenewal),
	}}}
}

// PatchedBy is the directory of patches on the host; empty: none. For who asks what a plan wants.
func (u *Upgrade) PatchedBy() string { return u.Patches }
