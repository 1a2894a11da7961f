package remote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/redact"
)

// An Identity is who the machine at the end of a connection says it is. It is the machine's own word: it tells hosts apart
// that were mixed up, not one that lies.
type Identity struct {
	Door      string       // where it answers, host:port
	MachineID string       // as its kubelet reads it; empty: it has none
	BootID    string       // another one after every boot
	Addresses []netip.Addr // of its interfaces; none: it could not tell
}

// A Recogniser decides whether the machine that answers is the host that the inventory takes it for. It is asked on every
// new connection, before anything else runs there, from many goroutines. Its error, a *StrangerError for a machine that is
// another one, refuses everything on that connection for that host; it is asked again at the next try.
type Recogniser func(ctx context.Context, host string, seen Identity) error

// A StrangerError says that the machine that answers is not the host. Nothing was done on it and nothing it says counts. It
// is an engine.RefusedError too, or an engine.TransientError where the host may yet turn out to be right.
type StrangerError struct {
	Why    string // "host w1 (10.0.0.5:22) is the machine of node w2: ..."
	Remedy string // what a person can do
	Early  bool   // it may have been booted just now, and be known once the cluster has heard of that
}

// Error says which machine it is, that nothing was done, and the remedy.
func (e *StrangerError) Error() string { return e.Why + "; nothing was done; " + e.Remedy }

// Unwrap is the answer as a step gives it.
func (e *StrangerError) Unwrap() error {
	if e.Early {
		return engine.Transient(errors.New(e.Error()))
	}
	return engine.Refuse(e.Why+"; nothing was done", e.Remedy)
}

// Has says whether an address is one of the machine's.
func (i Identity) Has(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && slices.Contains(i.Addresses, a.Unmap())
}

// prove has the machine at the end of a connection say who it is, and has it recognised as this host, before it is told
// anything else. The call lends its way to a shell, unless that takes a password, which is for no other machine: to say who it
// is takes no rights.
func (h *host) prove(ctx context.Context, way *trunk, l *link, lent call) error {
	if h.fleet.recognise == nil {
		return nil
	}
	if _, proved := l.proved.Load(h.name); proved {
		return nil
	}
	seen, err := h.identify(ctx, l, lent)
	if err != nil {
		return err
	}
	seen.Door = way.e.hostport()
	if err := h.fleet.recognise(ctx, h.name, seen); err != nil {
		return err
	}
	l.proved.Store(h.name, true)
	return nil
}

// identify asks once for each connection: whoever comes meanwhile waits for the answer. Where none comes, they have waited
// long enough too.
func (h *host) identify(ctx context.Context, l *link, lent call) (Identity, error) {
	select {
	case l.asking <- struct{}{}:
	case <-ctx.Done():
		return Identity{}, fmt.Errorf("%s: waiting for it to say which machine it is: %w", h.name, ctx.Err())
	}
	defer func() { <-l.asking }()
	if l.seen != nil {
		return *l.seen, nil
	}
	if l.mute != nil {
		return Identity{}, h.judge(ending{err: l.mute}, "", redact.Known{})
	}
	known, mark := redact.Known{}, newMark()
	out := newAnswer(known)
	c := call{command: lent.command, mark: mark, program: h.fleet.sh.program(mark, "", identifyScript),
		stdout: &opening{word: []byte(mark + " begin\n"), to: out}, stderr: newAnswer(known), within: h.fleet.limits.query}
	if lent.password != nil {
		c.command = plainShell
	}
	e := l.run(ctx, c)
	e.sent = false // of what anybody wants done
	if Hangs(e.err) {
		l.mute = e.err
		l.retire()
	}
	if err := h.judge(e, mark, known); err != nil {
		return Identity{}, err
	}
	answer := out.String()
	seen, ok := readIdentity(answer)
	if !ok {
		return seen, engine.Transient(fmt.Errorf("%s: the host does not say which machine it is: %s", h.name, LastLines(answer)))
	}
	l.seen = &seen
	return seen, nil
}

// readIdentity reads what identify.sh prints. It is not whole before the boot ID's line.
func readIdentity(answer string) (seen Identity, ok bool) {
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case f[0] == "machine":
			seen.MachineID = identifier(f[1:])
		case f[0] == "boot":
			seen.BootID, ok = identifier(f[1:]), true
		case len(f) > 3 && (f[2] == "inet" || f[2] == "inet6"):
			seen.Addresses = appendOwn(seen.Addresses, f[1], f[3])
		}
	}
	return seen, ok
}

// identifier is a word that can be an ID: a UUID, or one without its dashes. machine-id(5) has a word for none.
func identifier(words []string) string {
	const longest = 64
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(words) != 1 || words[0] == "uninitialized" || len(words[0]) > longest || strings.ContainsFunc(words[0], odd) {
		return ""
	}
	return words[0]
}

// appendOwn adds an address of `ip -o addr`, unless it is one that other machines have too: kube-proxy in its mode ipvs
// gives every node the addresses of all services.
func appendOwn(all []netip.Addr, device, address string) []netip.Addr {
	address, _, _ = strings.Cut(address, "/")
	a, err := netip.ParseAddr(address)
	if err != nil || device == "kube-ipvs0" || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return all
	}
	return append(all, a.Unmap())
}
