package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// Options say what sandbox to start.
type Options struct {
	ControlPlanes int     // 1 to 9; 0 means 1. They are called cp1, cp2, ...
	Workers       int     // called w1, w2, ...
	Version       string  // what the cluster runs at first; "1.27.16" when empty
	Dir           string  // where its files are written; it is made if it is not there
	Faults        *Faults // nil: none
	Speed         float64 // how many times faster than at 1, the default, everything pretended goes
	NoWorkload    bool    // leave out the shop: Deployments, StatefulSet and budgets that make drains wait
}

// maxControlPlanes is far beyond what anybody runs (etcd's advice is at most 7).
const maxControlPlanes = 9

// A Cluster is a sandbox that runs. It belongs to this process and ends with it.
type Cluster struct {
	Inventory  string // path of the inventory: every machine with its port, and the key to log in
	Kubeconfig string // path of the administrator's kubeconfig; its context is called "sandbox"
	Effects    string // path of the record of every change, see Effect
	Server     string // URL of the API

	world    *world
	api      *api
	common   *machine.Common
	effects  *record
	faults   *record
	machines []*machine.Machine
	stop     context.CancelCauseFunc
	running  sync.WaitGroup
	ended    chan struct{}
	once     sync.Once
	broken   error // why it ended by itself
	err      error
}

// Start starts a sandbox. When it returns every machine answers, every node is Ready, every pod runs, and the files
// are written. It ends when ctx does, or with Close.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the sandbox's directory: %w", err)
	}
	c := &Cluster{
		Inventory: filepath.Join(o.Dir, inventoryFile), Kubeconfig: filepath.Join(o.Dir, kubeconfigFile),
		Effects: filepath.Join(o.Dir, effectsFile), ended: make(chan struct{}),
	}
	life, stop := context.WithCancelCause(ctx)
	c.stop = stop
	if err := c.build(life, o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	context.AfterFunc(life, func() { _ = c.Close() }) // Wait tells its error
	return c, nil
}

func (o *Options) check() error {
	o.Version = strings.TrimPrefix(o.Version, "v")
	if o.Version == "" {
		o.Version = "1.27.16"
	}
	if o.ControlPlanes == 0 {
		o.ControlPlanes = 1
	}
	if o.Speed <= 0 {
		o.Speed = 1
	}
	switch {
	case o.ControlPlanes < 0 || o.ControlPlanes > maxControlPlanes:
		return fmt.Errorf("a sandbox has 1 to %d control planes, not %d", maxControlPlanes, o.ControlPlanes)
	case o.Workers < 0:
		return fmt.Errorf("a sandbox cannot have %d workers", o.Workers)
	case minor(o.Version) == 0 || strings.Count(o.Version, ".") != 2:
		return fmt.Errorf("%q is no version of Kubernetes; write it as 1.27.16", o.Version)
	case o.Dir == "":
		return errors.New("a sandbox needs a directory for its files")
	}
	return nil
}

// build makes the parts in the order in which they need each other: record, world, API, machines, files.
func (c *Cluster) build(ctx context.Context, o Options) (err error) {
	if c.effects, err = openRecord(c.Effects); err != nil {
		return err
	}
	if o.Faults != nil {
		if c.faults, err = openRecord(filepath.Join(o.Dir, faultsFile)); err != nil {
			return err
		}
		o.Faults.tell(func(e FaultEvent) { c.faults.write(e) })
	}
	d, err := openDoor()
	if err != nil {
		return fmt.Errorf("opening the sandbox's API: %w", err)
	}
	c.Server = "https://" + d.Addr().String()
	c.world = newWorld(o, c.effects, d)
	p, err := newPKI()
	if err != nil {
		return errors.Join(err, d.Close())
	}
	c.common = p.Common
	c.api = newAPI(c.world, p, o.Faults)
	c.running.Go(func() {
		if err := c.api.server.ServeTLS(d, "", ""); !errors.Is(err, http.ErrServerClosed) {
			c.broken = fmt.Errorf("the sandbox's API: %w", err)
			c.stop(c.broken)
		}
	})
	c.running.Go(func() { c.world.live(ctx) })
	if err := c.switchOn(ctx, o); err != nil {
		return err
	}
	if err := writeKnownHosts(o.Dir, c.machines); err != nil {
		return err
	}
	if err := writeKubeconfig(o.Dir, c.Server, p); err != nil {
		return err
	}
	return writeInventory(o.Dir, c.world, c.machines)
}

// switchOn starts the machines.
func (c *Cluster) switchOn(ctx context.Context, o Options) error {
	key, err := login(o.Dir)
	if err != nil {
		return err
	}
	trouble := newTrouble(o.Faults, c.effects)
	for i, name := range c.world.names {
		m, err := machine.Start(machine.Config{
			Name: name, MachineID: machineID(name), NodeAddress: c.world.address(i), ControlPlane: c.world.hosts[name].control, Version: o.Version, Endpoint: c.world.endpoint,
			Common: c.common, AuthorizedKey: key, World: c.world, Recorder: trouble, Speed: o.Speed,
		})
		if err != nil {
			return err
		}
		trouble.add(m)
		c.machines = append(c.machines, m)
	}
	c.running.Go(func() { trouble.live(ctx, c.world.names) })
	return c.world.awaitKubelets(ctx)
}

// Machine is the pretend machine of this name, for tests that trouble it by hand; nil if there is none.
func (c *Cluster) Machine(name string) *machine.Machine {
	for _, m := range c.machines {
		if m.Name() == name {
			return m
		}
	}
	return nil
}

// Wait waits until the sandbox has ended, by Close or by the end of the context that it was started with.
func (c *Cluster) Wait() error {
	<-c.ended
	return c.err
}

// Close switches everything off and waits until nothing of it runs any more. The files stay. Closing twice is
// harmless. The error tells if an effect could not be recorded: then effects.jsonl is not to be trusted.
func (c *Cluster) Close() error {
	c.once.Do(func() {
		c.stop(nil)
		c.err = c.close()
		close(c.ended)
	})
	<-c.ended
	return c.err
}

func (c *Cluster) close() error {
	var errs []error
	if c.api != nil {
		errs = append(errs, c.api.server.Close())
	}
	c.running.Wait()
	errs = append(errs, c.broken)
	var machines sync.WaitGroup
	failed := make([]error, len(c.machines))
	for i, m := range c.machines {
		machines.Go(func() { failed[i] = m.Close() })
	}
	machines.Wait()
	errs = append(errs, failed...)
	for _, r := range []*record{c.effects, c.faults} {
		if r != nil {
			errs = append(errs, r.close())
		}
	}
	return errors.Join(errs...)
}
