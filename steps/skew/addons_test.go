package skew

import "testing"

// etcd fills in three members and what they are held against.
func etcd(t *testing.T, o *Observed, to string, members ...string) {
	t.Helper()
	o.Etcds = map[string]EtcdVersion{}
	for i, m := range members {
		v, _ := ParseEtcd(m)
		o.Etcds[[]string{"cp1", "cp2", "cp3"}[i]] = v
	}
	if to != "" {
		o.EtcdTo = mustEtcd(t, to)
	}
}

func dns(t *testing.T, o *Observed, to string, known []string, have string) {
	t.Helper()
	v, _ := ParseCoreDNS(have)
	o.CoreDNS = map[string]CoreDNSVersion{"coredns-5d7": v}
	if to != "" {
		o.CoreDNSTo = mustCoreDNS(t, to)
	}
	for _, k := range known {
		o.CoreDNSKnown = append(o.CoreDNSKnown, mustCoreDNS(t, k))
	}
}

func TestEtcd(t *testing.T) {
	floor := func(oldest string, mandatory bool) []EtcdFloor {
		return []EtcdFloor{{Oldest: mustEtcd(t, oldest), Why: "etcd asks for it before 3.6", Mandatory: mandatory}}
	}
	tests := []violationCase{
		{"as kubeadm has it, to the next minor", func(o *Observed) { etcd(t, o, "3.6.5-0", "3.5.26-0", "3.5.26-0") }, nil},
		{"in the middle of its roll", func(o *Observed) { etcd(t, o, "3.6.5-0", "3.6.5-0", "3.5.26-0") }, nil},
		{"newer than kubeadm's choice, which leaves it alone", func(o *Observed) { etcd(t, o, "3.5.15-0", "3.6.5-0") }, nil},
		{"nobody asked", func(o *Observed) { etcd(t, o, "", "3.2.18-0") }, nil},
		{"nobody asked about one that does not tell", func(o *Observed) { etcd(t, o, "", "latest") }, nil},
		{"one that does not tell", func(o *Observed) { etcd(t, o, "3.5.15-0", "latest", "3.5.12-0") },
			[]string{"etcd on cp1 is unknown, want a version that can be read (version-unknown)"}},
		{"two minors at once", func(o *Observed) { etcd(t, o, "3.6.5-0", "3.4.13-0") },
			[]string{"!etcd on cp1 is 3.4.13-0, want 3.5 or newer to upgrade to 3.6.5-0: one minor version at a time (etcd-too-far)"}},
		{"members two minors apart", func(o *Observed) { etcd(t, o, "", "3.6.5-0", "3.5.15-0", "3.4.13-0") },
			[]string{"!etcd on cp3 is 3.4.13-0, want 3.5 or newer: the member on cp1 is 3.6.5-0 (etcd-skew)"}},
		{"below a floor", func(o *Observed) { etcd(t, o, "3.6.5-0", "3.5.26-0", "3.5.24-0"); o.EtcdFloors = floor("3.5.26", true) },
			[]string{"!etcd on cp2 is 3.5.24-0, want 3.5.26 or newer: etcd asks for it before 3.6 (etcd-too-old)"}},
		{"below a floor that is advice", func(o *Observed) { etcd(t, o, "3.6.5-0", "3.5.24-0"); o.EtcdFloors = floor("3.5.26", false) },
			[]string{"etcd on cp1 is 3.5.24-0, want 3.5.26 or newer: etcd asks for it before 3.6 (etcd-too-old)"}},
		{"below a floor that it is too late for", func(o *Observed) { etcd(t, o, "3.6.5-0", "3.6.5-0", "3.5.24-0"); o.EtcdFloors = floor("3.5.26", true) },
			[]string{"etcd on cp2 is 3.5.24-0, want 3.5.26 or newer: etcd asks for it before 3.6 (etcd-too-old)"}},
		{"external, below kubeadm's floor", func(o *Observed) { etcd(t, o, "", "3.5.21"); o.EtcdFloors = floor("3.5.24-0", true) },
			[]string{"!etcd on cp1 is 3.5.21, want 3.5.24-0 or newer: etcd asks for it before 3.6 (etcd-too-old)"}},
		{"a member tells no build, and the floor has one", func(o *Observed) { etcd(t, o, "", "3.5.24"); o.EtcdFloors = floor("3.5.24-0", true) }, nil},
		{"a floor and one that does not tell", func(o *Observed) { etcd(t, o, "", "mine"); o.EtcdFloors = floor("3.5.24-0", true) },
			[]string{"etcd on cp1 is unknown, want a version that can be read (version-unknown)"}},
	}
	for _, tt := range tests {
		tt.check(t)
	}
}

func TestCoreDNS(t *testing.T) {
	known := []string{"1.8.6", "1.9.3", "1.10.1", "1.11.1"}
	tests := []violationCase{
		{"known", func(o *Observed) { dns(t, o, "1.10.1", known, "v1.9.3") }, nil},
		{"there already", func(o *Observed) { dns(t, o, "1.10.1", known, "v1.10.1") }, nil},
		{"there already, in no table", func(o *Observed) { dns(t, o, "1.10.3", known, "v1.10.3") }, nil},
		{"nobody asked", func(o *Observed) { dns(t, o, "", nil, "v9.9.9") }, nil},
		{"nobody asked about one that does not tell", func(o *Observed) { dns(t, o, "", nil, "latest") }, nil},
		{"between those that are known", func(o *Observed) { dns(t, o, "1.10.1", known, "v1.9.9") },
			[]string{"CoreDNS (ReplicaSet coredns-5d7) is 1.9.9, want a version that kubeadm can migrate from: its newest is 1.11.1 (coredns-not-known)"}},
		{"somebody's own build", func(o *Observed) { dns(t, o, "1.10.1", known, "v1.9.3-mine.1") },
			[]string{"CoreDNS (ReplicaSet coredns-5d7) is 1.9.3-mine.1, want a version that kubeadm can migrate from: its newest is 1.11.1 (coredns-not-known)"}},
		{"newer than what kubeadm brings, though known", func(o *Observed) { dns(t, o, "1.10.1", known, "v1.11.1") },
			[]string{"CoreDNS (ReplicaSet coredns-5d7) is 1.11.1, want 1.10.1 or older: kubeadm brings that and does not go back (coredns-too-new)"}},
		{"only the newest that kubeadm brings is given", func(o *Observed) { dns(t, o, "1.10.1", nil, "v1.9.9") }, nil},
		{"one that does not tell", func(o *Observed) { dns(t, o, "1.10.1", nil, "latest") },
			[]string{"CoreDNS (ReplicaSet coredns-5d7) is unknown, want a version that can be read (version-unknown)"}},
	}
	for _, tt := range tests {
		tt.check(t)
	}
}

// etcd and CoreDNS are judged even where no API server is known.
func TestAddonsAreJudgedWithoutAPIServers(t *testing.T) {
	o := Observed{}
	etcd(t, &o, "3.6.5-0", "3.4.13-0")
	if got := rules(Check(o)); len(got) != 2 || got[0] != "apiserver-unknown" || got[1] != "etcd-too-far" {
		t.Error(got)
	}
}
