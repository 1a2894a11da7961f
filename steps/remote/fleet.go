package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
)

var (
	_ Hosts          = (*Fleet)(nil)
	_ engine.Settler = (*Fleet)(nil)
)

// Config says what a Fleet works with.
type Config struct {
	Inventory *Inventory
	StateDir  string       // on the hosts; /var/lib/upgrader if empty
	Warn      func(string) // told what is odd but no error, from any goroutine; nil: nobody is
	// Dial connects to a host or to its first jump host; net.Dialer's if nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Recognise proves every new connection to a host; jump hosts are not asked. Nil: whoever answers is believed.
	Recognise Recogniser

	path, booted string // for tests: PATH on the hosts, and the directory that tells systemd
	outputCap    int    // for tests: of a job's output on the host
	limits       limits // for tests
}

// A Fleet is the hosts of an inventory, each with one shared connection that is made when it is first needed. It is
// safe for concurrent use.
type Fleet struct {
	inventory *Inventory
	sh        shell
	warn      func(string)
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	recognise Recogniser
	resolver  *resolver
	keys      memo[ssh.Signer]
	known     memo[*knownhosts.HostKeyDB]
	limits    limits

	mu     sync.Mutex
	hosts  map[string]*host
	trunks map[string]*trunk
	links  map[*link]bool
	closed bool
	tasks  sync.WaitGroup
}

// NewFleet makes a fleet. It connects to nothing yet.
func NewFleet(c Config) *Fleet {
	f := &Fleet{
		inventory: c.Inventory, warn: func(string) {}, dial: c.Dial, recognise: c.Recognise,
		sh:    shell{dir: defaultStateDir, path: defaultPath, booted: bootedDir, cap: hostOutputCap},
		hosts: map[string]*host{}, trunks: map[string]*trunk{}, links: map[*link]bool{},
	}
	if f.inventory == nil {
		f.inventory = &Inventory{}
	}
	if c.Warn != nil {
		f.warn = func(warning string) { c.Warn(printable.Cut(warning, printable.Message)) }
	}
	if f.dial == nil {
		f.dial = (&net.Dialer{}).DialContext
	}
	if c.StateDir != "" {
		f.sh.dir = c.StateDir
	}
	if c.path != "" {
		f.sh.path = c.path
	}
	if c.booted != "" {
		f.sh.booted = c.booted
	}
	if c.outputCap != 0 {
		f.sh.cap = c.outputCap
	}
	f.limits = cmp.Or(c.limits, usualLimits())
	f.resolver = newResolver(f.warn)
	return f
}

// Host finds a host by its name in the inventory.
func (f *Fleet) Host(name string) (Host, error) {
	h, err := f.host(name)
	if err != nil {
		return nil, err // not h: a nil *host is no nil Host
	}
	return h, nil
}

func (f *Fleet) host(name string) (*host, error) {
	i := slices.IndexFunc(f.inventory.Hosts, func(m Machine) bool { return m.Name == name })
	if i < 0 {
		return nil, f.inventory.noHost(name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.New("the connections to the hosts have been closed")
	}
	if f.hosts[name] == nil {
		f.hosts[name] = newHost(f, f.inventory.Hosts[i])
	}
	return f.hosts[name], nil
}

// ReadOnly returns the same hosts for a dry run: Run and Do are refused with engine.ErrReadOnly.
func (f *Fleet) ReadOnly() Hosts { return readOnlyHosts{f} }

// Close ends every connection, and waits for what the fleet started. Jobs on the hosts go on. Operations under way get
// an error.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.closed = true
	for l := range f.links {
		_ = l.client.Close() // the hosts need no goodbye
	}
	hosts := slices.Collect(maps.Values(f.hosts))
	f.mu.Unlock()
	for _, h := range hosts {
		h.forget()
	}
	f.keys.forget()
	f.tasks.Wait()
	return nil
}

// trunk returns the shared connection to an endpoint, through these jump hosts.
func (f *Fleet) trunk(e *endpoint, via *trunk) *trunk {
	key := fmt.Sprintf("%p %s@%s as %s keys %s %v", via, e.user, e.hostport(), e.keyName(), e.explicit, e.knownHosts)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.trunks[key] == nil {
		f.trunks[key] = newTrunk(f, e, via)
	}
	return f.trunks[key]
}

// maxJumps bounds chains of jump hosts that lead to each other.
const maxJumps = 8

// reach resolves an endpoint's jump hosts and returns the trunk to it.
func (f *Fleet) reach(ctx context.Context, e *endpoint, want SSH, depth int) (*trunk, error) {
	if e.proxyJump == "" {
		return f.trunk(e, nil), nil
	}
	if depth >= maxJumps {
		return nil, fmt.Errorf("%s: its jump hosts need more than %d jump hosts themselves; they may lead in a circle", e.host, maxJumps)
	}
	hops, err := parseJumps(e.proxyJump)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.host, err)
	}
	var via *trunk
	for _, h := range hops {
		// What the inventory says of the host itself does not hold for the way there, except files that are the person's.
		w := SSH{User: h.user, Port: h.port, IdentityFile: want.IdentityFile, KnownHosts: want.KnownHosts, Config: want.Config,
			ConnectTimeout: want.ConnectTimeout, Keepalive: want.Keepalive}
		if via != nil {
			w.ProxyJump = "none" // as `ssh -J a,b`: b is reached through a
		}
		stop, err := f.resolver.resolve(ctx, e.host+" (jump host "+h.address+")", h.address, w)
		if err != nil {
			return nil, err
		}
		if via != nil {
			via = f.trunk(stop, via)
		} else if via, err = f.reach(ctx, stop, w, depth+1); err != nil {
			return nil, err
		}
	}
	return f.trunk(e, via), nil
}

type readOnlyHosts struct{ f *Fleet }

func (r readOnlyHosts) Host(name string) (Host, error) {
	h, err := r.f.host(name)
	if err != nil {
		return nil, err
	}
	return readOnlyHost{h}, nil
}

type readOnlyHost struct{ h *host }

func (r readOnlyHost) Name() string { return r.h.Name() }

func (r readOnlyHost) Query(ctx context.Context, s Script) (Result, error) { return r.h.Query(ctx, s) }

func (r readOnlyHost) Run(context.Context, engine.Ticket, Script) (Result, error) {
	return Result{}, fmt.Errorf("%s: %w", r.h.Name(), engine.ErrReadOnly)
}

func (r readOnlyHost) Do(context.Context, engine.Ticket, Job) error {
	return fmt.Errorf("%s: %w", r.h.Name(), engine.ErrReadOnly)
}
