package census

import (
	"maps"

	"upgrader.dev/upgrader/steps/corefile"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/skew"
)

// Towards adds to what was observed what the target brings: the etcd and the CoreDNS of its kubeadm, what etcd has to run
// before, and what the Corefile can be carried over from. External etcd is brought by nobody. Images whose tags name no
// version, as where they are pinned by digest, are left out: kubeadm tells what it thinks of them. Nothing is added for a
// target that is not known.
func (c *Census) Towards(o *skew.Observed) error {
	floor, known, err := knowledge.LoadFloor(knowledge.Minor(o.Target.Minor())) //nolint:gosec // versions are small numbers
	if err != nil || !known {
		return err
	}
	maps.DeleteFunc(o.Etcds, func(_ string, v skew.EtcdVersion) bool { return v.IsZero() })
	maps.DeleteFunc(o.CoreDNS, func(_ string, v skew.CoreDNSVersion) bool { return v.IsZero() })
	if !c.Config.External {
		o.EtcdTo = etcdTo(c.Config.EtcdTag, floor.Etcd.Tag)
	}
	for version, mandatory := range map[string]bool{floor.Etcd.RunningRequired: true, floor.Etcd.RunningRecommended: false} {
		if oldest, err := skew.ParseEtcd(version); err == nil {
			o.EtcdFloors = append(o.EtcdFloors, skew.EtcdFloor{Oldest: oldest, Why: floor.Etcd.Source, Mandatory: mandatory})
		}
	}
	if to, err := skew.ParseCoreDNS(floor.CoreDNS); err == nil && c.Config.DNSTag == "" {
		o.CoreDNSTo = to
		for _, v := range corefile.Known() {
			if version, err := skew.ParseCoreDNS(v); err == nil {
				o.CoreDNSKnown = append(o.CoreDNSKnown, version)
			}
		}
	}
	return nil
}

// etcdTo is the tag that the operator pinned, or else kubeadm's.
func etcdTo(pinned, kubeadms string) skew.EtcdVersion {
	for _, tag := range []string{pinned, kubeadms} {
		if v, err := skew.ParseEtcd(tag); err == nil {
			return v
		}
	}
	return skew.EtcdVersion{}
}
