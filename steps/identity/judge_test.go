package identity

import (
	"net/netip"
	"strings"
	"testing"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

func nodeOf(name, machine, boot, ip string) kube.Node {
	return kube.Node{Name: name, MachineID: machine, BootID: boot, InternalIP: ip}
}

func seenAs(machine, boot string, ips ...string) remote.Identity {
	seen := remote.Identity{Door: "192.0.2.1:22", MachineID: machine, BootID: boot}
	for _, ip := range ips {
		seen.Addresses = append(seen.Addresses, netip.MustParseAddr(ip))
	}
	return seen
}

// A host that goes by another name than its node has the right address, and nobody need delete anything.
func TestAHostThatIsNotCalledAsItsNode(t *testing.T) {
	nodes := map[string]kube.Node{"w1.example.com": nodeOf("w1.example.com", "m1", "b1", "10.0.0.1")}
	got := judge("w1", nodes, seenAs("m1", "b1", "10.0.0.1"))
	if want := "; or, if it is the host that is meant, call it w1.example.com there, as its node is called; or, if node w1.example.com is no more"; !strings.HasPrefix(got.also, want) {
		t.Errorf("%q", got.also)
	}
}

// The host is always w1.
func TestJudge(t *testing.T) {
	w1, w2 := nodeOf("w1", "m1", "b1", "10.0.0.1"), nodeOf("w2", "m2", "b2", "10.0.0.2")
	clone1, clone2 := nodeOf("w1", "m", "b1", "10.0.0.1"), nodeOf("w2", "m", "b2", "10.0.0.2")
	kind1, kind2 := nodeOf("w1", "m1", "b", "10.0.0.1"), nodeOf("w2", "m2", "b", "10.0.0.2")
	for _, c := range []struct {
		name  string
		nodes []kube.Node
		seen  remote.Identity
		want  sureness
		says  string
	}{
		{"as its kubelet reported", []kube.Node{w1, w2}, seenAs("m1", "b1", "10.0.0.1"), certain, ""},
		{"behind another address than the node's", []kube.Node{w1, w2}, seenAs("m1", "b1", "10.9.9.9"), certain, ""},
		{"addresses mixed up", []kube.Node{w1, w2}, seenAs("m2", "b2", "10.0.0.2"), stranger, "host w1 (192.0.2.1:22) is the machine of node w2: machine ID m2, boot ID b2; the node w1 has machine ID m1, boot ID b1"},
		{"mixed up, and the other was rebooted", []kube.Node{w1, w2}, seenAs("m2", "b9", "10.0.0.2"), stranger, "is the machine of node w2"},
		{"mixed up, and the other tells no addresses", []kube.Node{w1, w2}, seenAs("m2", "b9"), stranger, "is not the machine of node w1"},
		{"no node at all", []kube.Node{w1, w2}, seenAs("m9", "b9", "10.0.0.9"), stranger, "is not the machine of node w1: machine ID m9, boot ID b9"},
		{"installed anew at the same address", []kube.Node{w1, w2}, seenAs("m9", "b9", "10.0.0.1"), stranger, "is not the machine of node w1"},
		{"rebooted", []kube.Node{w1, w2}, seenAs("m1", "b9", "10.0.0.1", "172.17.0.1"), likely, ""},
		{"rebooted with another address", []kube.Node{w1, w2}, seenAs("m1", "b9", "10.0.0.7"), stranger, "and its address 10.0.0.1 is not one of the host's"},
		{"rebooted, and tells no addresses", []kube.Node{w1, w2}, seenAs("m1", "b9"), likely, ""},
		{"rebooted, and the node has no address", []kube.Node{nodeOf("w1", "m1", "b1", ""), w2}, seenAs("m1", "b9", "10.0.0.1"), likely, ""},
		{"a copy of its disk elsewhere", []kube.Node{w1, w2}, seenAs("m1", "b9", "10.0.0.99"), stranger, "is not the machine of node w1"},
		{"its machine ID was changed while the kubelet ran", []kube.Node{w1, w2}, seenAs("m9", "b1", "10.0.0.1"), likely, ""},
		{"a container of the node's kernel", []kube.Node{w1, w2}, seenAs("m9", "b1", "172.17.0.2"), stranger, "is not the machine of node w1"},
		{"an IPv6 address in other words", []kube.Node{nodeOf("w1", "m1", "b1", "2001:DB8:0:0::1"), w2}, seenAs("m1", "b9", "2001:db8::1"), likely, ""},

		{"clones", []kube.Node{clone1, clone2}, seenAs("m", "b1", "10.0.0.1"), certain, ""},
		{"clones mixed up", []kube.Node{clone1, clone2}, seenAs("m", "b2", "10.0.0.2"), stranger, "is the machine of node w2"},
		{"a clone rebooted", []kube.Node{clone1, clone2}, seenAs("m", "b9", "10.0.0.1"), likely, ""},
		{"a clone mixed up, and rebooted", []kube.Node{clone1, clone2}, seenAs("m", "b9", "10.0.0.2"), stranger, "is the machine of node w2"},
		{"a clone of which no node is known", []kube.Node{clone2}, seenAs("m", "b9", "10.0.0.9"), untold, ""},

		{"containers of one kernel", []kube.Node{kind1, kind2}, seenAs("m1", "b", "10.0.0.1"), certain, ""},
		{"containers mixed up", []kube.Node{kind1, kind2}, seenAs("m2", "b", "10.0.0.2"), stranger, "is the machine of node w2"},
		{"containers of one kernel, rebooted", []kube.Node{kind1, nodeOf("w2", "m2", "b9", "10.0.0.2")}, seenAs("m1", "b9", "10.0.0.1"), likely, ""},
		{"containers without IDs of their own", []kube.Node{nodeOf("w1", "", "b", "10.0.0.1"), nodeOf("w2", "", "b", "10.0.0.2")}, seenAs("", "b", "10.0.0.1"), certain, ""},
		{"those mixed up", []kube.Node{nodeOf("w1", "", "b", "10.0.0.1"), nodeOf("w2", "", "b", "10.0.0.2")}, seenAs("", "b", "10.0.0.2"), stranger, "is the machine of node w2"},

		{"no machine ID", []kube.Node{nodeOf("w1", "", "b1", "10.0.0.1"), w2}, seenAs("", "b1", "10.0.0.1"), certain, ""},
		{"no machine ID, rebooted", []kube.Node{nodeOf("w1", "", "b1", "10.0.0.1"), w2}, seenAs("", "b9", "10.0.0.1"), likely, ""},
		{"no machine ID, rebooted, elsewhere", []kube.Node{nodeOf("w1", "", "b1", "10.0.0.1"), w2}, seenAs("", "b9", "10.0.0.8"), stranger, "machine ID none"},

		{"no node of that name", []kube.Node{w2}, seenAs("m1", "b1", "10.0.0.1"), untold, ""},
		{"no node of that name, but another's machine", []kube.Node{w2}, seenAs("m2", "b2", "10.0.0.2"), stranger, "is the machine of node w2: machine ID m2, boot ID b2"},
		{"a node whose kubelet has never reported", []kube.Node{nodeOf("w1", "", "", ""), w2}, seenAs("m1", "b1", "10.0.0.1"), untold, ""},
		{"joined again under another name without a reboot", []kube.Node{w1, nodeOf("old", "m1", "b1", "10.0.0.77")}, seenAs("m1", "b1", "10.0.0.1"), certain, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			nodes := map[string]kube.Node{}
			for _, n := range c.nodes {
				nodes[n.Name] = n
			}
			got := judge("w1", nodes, c.seen)
			if got.is != c.want || !strings.Contains(got.why, c.says) {
				t.Errorf("it is %d, want %d: %q", got.is, c.want, got.why)
			}
			if early := strings.Contains(c.name, "installed anew") || strings.Contains(c.name, "with another address") || strings.Contains(c.name, "a copy of"); got.early != early {
				t.Errorf("early: %v", got.early)
			}
			if strings.Contains(got.why, "address ") != strings.Contains(got.also, "start its kubelet") {
				t.Errorf("%q does not fit %q", got.also, got.why)
			}
		})
	}
}
