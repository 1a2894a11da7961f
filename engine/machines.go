package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// Machines keeps which machine each host of a run is, through all its processes: a host that was seen once has to be the same
// machine ever after. The runner at work makes it durable, since it alone writes. It is safe for concurrent use.
type Machines struct {
	mu    sync.Mutex
	known map[string]string // by host
	asked chan meeting
	over  chan struct{} // closed when the runner has ended
	once  sync.Once
}

// A meeting is a host that was seen, and is to be known as a machine from now on.
type meeting struct {
	host, machine string
	answer        chan error // has room for one
}

func newMachines() *Machines {
	return &Machines{known: map[string]string{}, asked: make(chan meeting), over: make(chan struct{})}
}

// errNoRunner is why a machine cannot be bound: nobody is there who could make it durable.
var errNoRunner = errors.New("the run's process has ended")

// Machine is the machine that a host was bound to last; empty: none yet.
func (m *Machines) Machine(host string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[host]
}

// Bind has a host known as this machine. When it returns nil, that is durable.
func (m *Machines) Bind(ctx context.Context, host, machine string) error {
	b := meeting{host, machine, make(chan error, 1)}
	select {
	case m.asked <- b:
	case <-m.over:
		return errNoRunner
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-b.answer:
		return err
	case <-ctx.Done(): // it may have become durable, which does no harm: it was seen
		return ctx.Err()
	}
}

func (m *Machines) learn(rec *journal.Record) {
	if rec.Kind != journal.Machine {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[rec.Host] = rec.Machine
}

func (m *Machines) close() { m.once.Do(func() { close(m.over) }) }

// with is one meeting, and those that wait behind it: one write does for all.
func (m *Machines) with(first meeting) []meeting {
	list := []meeting{first}
	for {
		select {
		case b := <-m.asked:
			list = append(list, b)
		default:
			return list
		}
	}
}

// enroll records which machines hosts are, and answers those who wait for it. A full disk is their trouble: they do nothing.
func (x *execution) enroll(list []meeting) error {
	x.written = x.clock.now()
	records := make([]journal.Record, len(list))
	for i, b := range list {
		records[i] = journal.Record{Kind: journal.Machine, Time: time.Now(), Elapsed: x.written, Host: b.host, Machine: b.machine}
	}
	var err error
	if x.Log != nil {
		err = x.Log.Append(records...)
	}
	if err == nil {
		for i := range records {
			x.machines.learn(&records[i])
		}
		x.tell(records)
	}
	for _, b := range list {
		b.answer <- err
	}
	if errors.Is(err, journal.ErrFull) {
		return nil
	}
	return err
}
