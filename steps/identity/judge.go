package identity

import (
	"fmt"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

// A sureness is how far the API's word about a node goes.
type sureness int

const (
	stranger sureness = iota // the machine is not the node
	untold                   // the API tells nothing of the node by which a machine could be known
	likely                   // nothing speaks against it: it was booted since its kubelet reported last
	certain                  // it is the machine that the node's kubelet reported from
)

// A verdict is what a machine is to a node.
type verdict struct {
	is   sureness
	why  string // of a stranger
	also string // what may be done instead of correcting the address
	// early: it was booted since the node's kubelet reported last, and half of what is known of the node fits.
	early bool
}

// judge compares a machine with what the API tells of all nodes. It is pure.
//
// A boot ID is another one on every machine and after every boot, but containers on one kernel share it. A machine ID is another
// one on every machine, but clones of one image share it. So both together tell, and where they do not, the node's address.
func judge(host string, nodes map[string]kube.Node, seen remote.Identity) verdict {
	own, known := nodes[host]
	same, alone := known && reportedFrom(own, seen), unlike(host, nodes, seen)
	switch {
	case same && (alone || mayBeAt(own, seen)):
		return verdict{is: certain}
	case !known || own.BootID == "" && own.MachineID == "":
		return newcomer(host, nodes, seen)
	case alone && rebooted(own, seen):
		return verdict{is: likely}
	case alone && own.BootID == seen.BootID && seen.Has(own.InternalIP): // its machine ID was changed since its kubelet began
		return verdict{is: likely}
	}
	return mixedUp(host, own, nodes, seen)
}

// rebooted says whether a machine may be the node in another boot: by its ID, and by its address as far as that is known.
func rebooted(own kube.Node, seen remote.Identity) bool {
	if own.MachineID == "" || seen.MachineID == "" {
		return seen.Has(own.InternalIP)
	}
	return own.MachineID == seen.MachineID && mayBeAt(own, seen)
}

// mayBeAt says whether nothing speaks against a node's address being one of the machine's.
func mayBeAt(n kube.Node, seen remote.Identity) bool {
	return n.InternalIP == "" || len(seen.Addresses) == 0 || seen.Has(n.InternalIP)
}

// reportedFrom says whether a node's kubelet reported from this machine, in this boot of it.
func reportedFrom(n kube.Node, seen remote.Identity) bool {
	return n.BootID != "" && n.BootID == seen.BootID && (n.MachineID == "" || seen.MachineID == "" || n.MachineID == seen.MachineID)
}

// unlike says whether no other node reported from this machine.
func unlike(host string, nodes map[string]kube.Node, seen remote.Identity) bool {
	for name, n := range nodes {
		if name != host && reportedFrom(n, seen) {
			return false
		}
	}
	return true
}

// newcomer judges a machine whose host the API does not tell of: it is no node's that it does tell of.
func newcomer(host string, nodes map[string]kube.Node, seen remote.Identity) verdict {
	other := whose(host, nodes, seen)
	if other == "" {
		return verdict{is: untold}
	}
	v := verdict{
		why:  fmt.Sprintf("%s is the machine of node %s: %s", named(host, seen), other, idsOf(seen)),
		also: "; or, if node " + other + " is no more, run `kubectl delete node " + other + "`",
	}
	if _, known := nodes[host]; !known { // its name may be what is wrong
		v.also = "; or, if it is the host that is meant, call it " + other + " there, as its node is called" + v.also
	}
	return v
}

// mixedUp says which machine it is instead.
func mixedUp(host string, own kube.Node, nodes map[string]kube.Node, seen remote.Identity) verdict {
	v := verdict{}
	if other := whose(host, nodes, seen); other != "" {
		v.why = fmt.Sprintf("%s is the machine of node %s: %s; the node %s has %s", named(host, seen), other, idsOf(seen), host, idsOfNode(own))
		return v
	}
	v.why = fmt.Sprintf("%s is not the machine of node %s: %s; the node has %s", named(host, seen), host, idsOf(seen), idsOfNode(own))
	v.early = own.BootID != seen.BootID && (seen.Has(own.InternalIP) || own.MachineID != "" && own.MachineID == seen.MachineID)
	if own.MachineID != "" && own.MachineID == seen.MachineID {
		v.why += fmt.Sprintf(", and its address %s is not one of the host's", own.InternalIP)
		v.also = "; or, if it was booted with another address, start its kubelet, which tells the API"
		return v
	}
	v.also = "; or, if it was installed anew, have it join the cluster again first"
	return v
}

// whose is the other node that a machine is; nothing if it is none.
func whose(host string, nodes map[string]kube.Node, seen remote.Identity) string {
	best, likeness := "", 0
	for name, n := range nodes {
		like := 0
		switch {
		case name == host:
			continue
		case reportedFrom(n, seen):
			like = 4
		case n.MachineID != "" && n.MachineID == seen.MachineID && seen.Has(n.InternalIP):
			like = 2
		}
		if like > 0 && seen.Has(n.InternalIP) {
			like++
		}
		if like > likeness || like == likeness && like > 0 && name < best {
			best, likeness = name, like
		}
	}
	return best
}

func named(host string, seen remote.Identity) string {
	return fmt.Sprintf("host %s (%s)", host, seen.Door)
}

func idsOf(seen remote.Identity) string {
	return fmt.Sprintf("machine ID %s, boot ID %s", orNone(seen.MachineID), orNone(seen.BootID))
}

func idsOfNode(n kube.Node) string {
	return fmt.Sprintf("machine ID %s, boot ID %s", orNone(n.MachineID), orNone(n.BootID))
}

func orNone(id string) string {
	if id == "" {
		return "none"
	}
	return printable.Text(id)
}
