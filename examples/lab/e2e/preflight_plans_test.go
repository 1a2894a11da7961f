//go:build e2e

package e2e

// The variants: the runbook as it is; one by somebody who was in haste; one that goes too far by a minor version, one that
// goes further, to look at what has been removed on the way, and one that goes as far as can be.

func shipped() variant { return variant{name: "the runbook as shipped"} }

func careless() variant {
	return variant{name: "a careless plan", finds: []string{"drain.daemonset", "etcd.snapshot", "packages.offered"}, changes: []string{
		"  - id: repository\n    uses: packages.repository\n    hosts: all\n", "",
		"  - id: backup\n    uses: etcd.snapshot\n    hosts: control-plane[0]\n    with: {keep: 7, verify: true}\n", "",
		"deleteEmptyDir: true", "ignoreDaemonSets: false",
	}}
}

func twoAtOnce() variant { return variant{name: "a plan to 1.29", changes: []string{to, beyond}} }

func far() variant {
	return variant{name: "a plan to 1.31", changes: []string{to, "1.31.14"}, finds: []string{"host.images", "packages.offered", "version.skew"}}
}

func farthest() variant { return variant{name: "a plan to 1.35", changes: []string{to, "1.35.3"}} }

// waiving is the runbook with a waiver.
func waiving(check, until string) variant {
	return variant{name: "waiving " + check, changes: []string{
		"\nsteps:\n", "\nwaivers:\n  - {check: " + check + ", where: w1, reason: nobody uses it, until: \"" + until + "\"}\n\nsteps:\n",
	}}
}

func noRevision() []trouble {
	lacking := wanted{
		"blocker", "packages.offered", "", "no repository offers kubeadm 1.28.99-1.1, kubectl 1.28.99-1.1, kubelet 1.28.99-1.1",
		"kubelet: " + to + "-1.1", "correct the revision in the plan",
	}
	return []trouble{{name: "a typing error", want: lacking.at("cp1", "w1"), along: []string{"packages.offered"}}}
}

func tooFar() []trouble {
	return []trouble{{name: "a minor version left out", want: []wanted{{
		"blocker", "version.skew", "kube-apiserver on cp1", "it is 1.27.3, wanted is 1.28 or newer to upgrade to 1.29.15",
		"target-too-far", "run the runbook for the minor before",
	}}, along: []string{"api.unseen"}}}
}

func newFloors() []trouble {
	all := []trouble{{
		name:  "an etcd too old",
		want:  []wanted{{"blocker", "version.skew", "etcd on cp1", "wanted is 3.5.20 or newer", "etcd-too-old", "etcd.local.imageTag"}},
		along: []string{"version.skew", "host.images", "packages.offered", "api.unseen", "floor.cgroup"},
	}}
	if oldCgroups() {
		refused := wanted{
			"blocker", "floor.cgroup", "", "control groups of version 1, with which the kubelet of 1.35 does not start",
			"tmpfs", "systemd.unified_cgroup_hierarchy=1",
		}
		all = append(all, trouble{name: "control groups of version 1", want: refused.at("cp1", "w1")})
	}
	return all
}

func carelessPlan() []trouble {
	return []trouble{{
		name:  "an old snapshot",
		plant: `mkdir -p /var/lib/upgrader/backups; touch -d '3 days ago' /var/lib/upgrader/backups/etcd-x.1.db`,
		cure:  `rm -r /var/lib/upgrader/backups`,
		want: []wanted{{
			"warning", "etcd.snapshot", "etcd", "the newest snapshot of etcd is 3 days old, and the plan takes none",
			"/var/lib/upgrader/backups/etcd-x.1.db", "uses: etcd.snapshot",
		}},
	}}
}
