// Package identity tells whether the machine behind a host's address is the node that the cluster means: with two addresses
// mixed up, one host would be drained and the other one upgraded. It is asked on every new connection, see remote.Config. It
// may import kube and remote; the rule itself, in judge.go, is pure.
package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

// A Register keeps which machine each host is, longer than the process lives. engine.Machines is one.
type Register interface {
	// Machine is the machine that a host is known as; empty: none yet.
	Machine(host string) string
	// Bind has it known as this machine, durably.
	Bind(ctx context.Context, host, machine string) error
}

// Sources is what a Witness goes by.
type Sources struct {
	Cluster   *kube.Client // nil: there is no API to ask
	Nodes     []kube.Node  // what the API has told already; nil: it has not been asked
	Register  Register     // nil: hosts are known only as long as the witness lives
	Inventory string       // where the hosts' addresses are written, for people
}

// A Witness knows which machine each host is, from the API, and of hosts that the API does not know, from having seen them
// before. It is safe for concurrent use.
type Witness struct {
	from Sources

	asking sync.Mutex // held while the list of nodes is read

	mu     sync.Mutex
	listed bool
	nodes  map[string]kube.Node // as the API told them last
	deaf   time.Time            // until then the API is not asked again
	seen   map[machine]string   // hosts that the API does not tell of, by the machine that they were seen to be
}

// A machine is one in one boot: no two have both IDs in common, unless they are containers. One without an ID has its
// addresses for that.
type machine struct{ id, boot string }

// NewWitness makes a witness. It asks nobody yet.
func NewWitness(from Sources) *Witness {
	w := &Witness{from: from, listed: from.Nodes != nil, nodes: map[string]kube.Node{}, seen: map[machine]string{}}
	w.take(from.Nodes)
	return w
}

// Recognise is the remote.Recogniser. What the API told last is enough where it makes certain; where it does not, since a
// host was rebooted or mixed up, the API is asked anew. While that is away, what it told last is still good.
func (w *Witness) Recognise(ctx context.Context, host string, seen remote.Identity) error {
	v := w.judge(host, seen)
	if v.is != certain && w.ask(ctx, host) {
		v = w.judge(host, seen)
	}
	switch v.is {
	case stranger:
		return &remote.StrangerError{Why: v.why, Remedy: w.correct(host) + v.also, Early: v.early}
	case untold:
		if err := w.remember(host, seen); err != nil {
			return err
		}
	}
	return w.bind(ctx, host, seen)
}

func (w *Witness) judge(host string, seen remote.Identity) verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	return judge(host, w.nodes, seen)
}

// remember has a host that the API does not tell of be the machine that it was when it was seen first.
func (w *Witness) remember(host string, seen remote.Identity) error {
	known := ""
	if w.from.Register != nil {
		known = w.from.Register.Machine(host)
	}
	if known != "" && seen.MachineID != "" && known != seen.MachineID {
		return &remote.StrangerError{
			Why:    fmt.Sprintf("%s is another machine than this run knows as %s: %s; it knows machine ID %s", named(host, seen), host, idsOf(seen), orNone(known)),
			Remedy: w.correct(host) + "; or, if the machine was replaced, have it join the cluster first, whose word counts, or begin a new run",
		}
	}
	m := machine{cmp.Or(seen.MachineID, addresses(seen)), seen.BootID}
	if m.id == "" {
		return nil // it cannot be told from others
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, there := w.seen[m]; there && other != host {
		return &remote.StrangerError{
			Why:    fmt.Sprintf("%s is the same machine as host %s: %s", named(host, seen), other, idsOf(seen)),
			Remedy: w.correct(host + " or of " + other),
		}
	}
	w.seen[m] = host
	return nil
}

// addresses stand for the ID of a machine that has none, in one order.
func addresses(seen remote.Identity) string {
	all := slices.SortedFunc(slices.Values(seen.Addresses), netip.Addr.Compare)
	return strings.Trim(fmt.Sprint(all), "[]")
}

func (w *Witness) correct(host string) string {
	return "correct the address of " + host + " in " + w.from.Inventory
}

// bind has the register know which machine a host is. What the API tells counts for more than what the register knows.
func (w *Witness) bind(ctx context.Context, host string, seen remote.Identity) error {
	r := w.from.Register
	if r == nil || seen.MachineID == "" || r.Machine(host) == seen.MachineID {
		return nil
	}
	if err := r.Bind(ctx, host, seen.MachineID); err != nil {
		return fmt.Errorf("%s: keeping which machine it is: %w", host, err)
	}
	return nil
}

// The API is not waited for for long, and after a silence not asked at once: what it told last, or what was seen, serves too.
const (
	patience = 5 * time.Second
	respite  = 15 * time.Second
)

// ask reads anew what the API tells of a host: of all, if it has told nothing yet. It says whether there was an answer.
func (w *Witness) ask(ctx context.Context, host string) bool {
	if w.from.Cluster == nil {
		return false
	}
	caller := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	if !w.askAll(ctx, caller) {
		return false
	}
	n, err := w.from.Cluster.Node(ctx, host)
	gone := errors.Is(err, kube.ErrNotFound)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case gone:
		delete(w.nodes, host)
	case err == nil:
		w.nodes[host] = n
	case caller.Err() == nil:
		w.deaf = time.Now().Add(respite)
	}
	return err == nil || gone
}

// askAll reads all nodes, once: other hosts that come meanwhile wait for the answer. It is false while the API is silent.
func (w *Witness) askAll(ctx, caller context.Context) bool {
	w.asking.Lock()
	defer w.asking.Unlock()
	w.mu.Lock()
	listed, deaf := w.listed, time.Now().Before(w.deaf)
	w.mu.Unlock()
	if listed || deaf {
		return !deaf
	}
	nodes, err := w.from.Cluster.Nodes(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if caller.Err() == nil {
			w.deaf = time.Now().Add(respite)
		}
		return false
	}
	w.listed = true
	w.take(nodes)
	return true
}

func (w *Witness) take(nodes []kube.Node) {
	for _, n := range nodes {
		w.nodes[n.Name] = n
	}
}
