package skew

import (
	"fmt"
	"slices"
)

// An EtcdFloor is the oldest version that every member of etcd must have for one reason. The data come from the caller:
// kubeadm's MinExternalEtcdVersion (cmd/kubeadm/app/constants), etcd's own upgrade guides.
type EtcdFloor struct {
	Oldest    EtcdVersion
	Why       string // who asks for it: "kubeadm 1.34 refuses an older external etcd"
	Mandatory bool   // as in Violation
}

// etcds: members within one minor of each other, at most one minor below the etcd that the upgrade brings (etcd.io,
// docs/upgrading: one minor version at a time), and none below a floor. kubeadm leaves a member that is newer than its
// choice alone (phases/upgrade/staticpods.go), so that is none.
func (c *check) etcds() {
	oldest, newest := extremes(c.Etcds)
	if c.Etcds[newest].line()-c.Etcds[oldest].line() > 1 {
		c.add("etcd-skew", "etcd", oldest, c.Etcds[oldest],
			fmt.Sprintf("%s or newer: the member on %s is %s", named(c.Etcds[newest].line()-1), newest, c.Etcds[newest]), true)
	}
	for host, v := range hosts(c.Etcds) {
		if !c.EtcdTo.IsZero() && c.EtcdTo.line()-v.line() > 1 {
			c.add("etcd-too-far", "etcd", host, v,
				fmt.Sprintf("%s or newer to upgrade to %s: one minor version at a time", named(c.EtcdTo.line()-1), c.EtcdTo), true)
		}
		c.etcdFloors(host, v)
	}
}

// etcdFloors: once one member has come to the minor version that the upgrade brings, there is no way back, and a floor
// tells what was missed but must not lock the other members out.
func (c *check) etcdFloors(host string, v EtcdVersion) {
	_, newest := extremes(c.Etcds)
	begun := !c.EtcdTo.IsZero() && c.Etcds[newest].line() >= c.EtcdTo.line()
	for _, floor := range c.EtcdFloors {
		if v.Compare(floor.Oldest) < 0 {
			c.add("etcd-too-old", "etcd", host, v, fmt.Sprintf("%s or newer: %s", floor.Oldest, floor.Why), floor.Mandatory && !begun)
		}
	}
}

// coreDNS: kubeadm's preflight checks CoreDNSMigration and CoreDNSUnsupportedPlugins fail for a CoreDNS that is not in
// their table or newer than the one that kubeadm brings (phases/upgrade/preflight.go; ValidUpMigration in
// coredns/corefile-migration). The very version that it brings passes before any table is asked.
func (c *check) coreDNS() {
	for set, v := range hosts(c.CoreDNS) {
		where := "CoreDNS (ReplicaSet " + set + ")"
		switch {
		case v == c.CoreDNSTo:
		case !c.CoreDNSTo.IsZero() && v.Compare(c.CoreDNSTo) > 0:
			c.add("coredns-too-new", where, "", v, fmt.Sprintf("%s or older: kubeadm brings that and does not go back", c.CoreDNSTo), false)
		case len(c.CoreDNSKnown) > 0 && !slices.Contains(c.CoreDNSKnown, v):
			c.add("coredns-not-known", where, "", v, "a version that kubeadm can migrate from: its newest is "+newestOf(c.CoreDNSKnown).String(), false)
		}
	}
}

func newestOf(all []CoreDNSVersion) CoreDNSVersion {
	return slices.MaxFunc(all, CoreDNSVersion.Compare)
}

// unknownAddons are the versions of etcd and CoreDNS that cannot be read, where there is something to hold them against.
// kubeadm stops at both by itself, so neither locks a cluster out that is under way.
func (c *check) unknownAddons() {
	if !c.EtcdTo.IsZero() || len(c.EtcdFloors) > 0 {
		for host, v := range hosts(c.Etcds) {
			if v.IsZero() {
				c.add("version-unknown", "etcd", host, v, "a version that can be read", false)
			}
		}
	}
	if !c.CoreDNSTo.IsZero() || len(c.CoreDNSKnown) > 0 {
		for set, v := range hosts(c.CoreDNS) {
			if v.IsZero() {
				c.add("version-unknown", "CoreDNS (ReplicaSet "+set+")", "", v, "a version that can be read", false)
			}
		}
	}
}
