package sandbox

import (
	"context"
	"sync"
	"time"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// The faults of a machine. Its sequence of operations are the changes that are made to it; a second sequence, its
// network, goes on with time, for connections are lost between changes too.
const (
	faultDrop    = "drop-ssh"     // every SSH connection is cut
	faultRestart = "restart-sshd" // sshd takes no connections for a moment
	faultStall   = "stall-ssh"    // connections are silent for a moment
	faultLock    = "hold-dpkg"    // somebody holds dpkg's lock for a second
)

// Which of them befall a machine that is being changed, and which a network. Nothing writes to these lists.
var (
	machineFaults = []string{faultDrop, faultRestart, faultLock}
	networkFaults = []string{faultDrop, faultRestart, faultStall}
)

const (
	networkTick = 500 * time.Millisecond
	lockHeld    = time.Second
	stalled     = 700 * time.Millisecond
)

// A trouble is what makes the machines' faults. It stands between the machines and the record of effects.
type trouble struct {
	faults *Faults
	next   machine.Recorder
	jobs   chan func() // faults are made by a goroutine of its own, since machines record under their locks

	mu       sync.Mutex
	machines map[string]*machine.Machine
}

func newTrouble(f *Faults, next machine.Recorder) *trouble {
	return &trouble{faults: f, next: next, jobs: make(chan func(), 64), machines: map[string]*machine.Machine{}}
}

func (t *trouble) add(m *machine.Machine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.machines[m.Name()] = m
}

// Record passes an effect on; it counts as an operation of its machine.
func (t *trouble) Record(e machine.Effect) {
	t.next.Record(e)
	t.strike(e.Host, t.faults.next("machine "+e.Host, machineFaults...))
}

// strike orders a fault. When too many are under way it is left out.
func (t *trouble) strike(host, fault string) {
	t.mu.Lock()
	m := t.machines[host]
	t.mu.Unlock()
	if m == nil || fault == "" {
		return
	}
	do := map[string]func(){
		faultDrop:    m.DropConnections,
		faultRestart: m.RestartSSHD,
		faultStall:   func() { m.Stall(stalled) },
		faultLock:    func() { m.HoldDpkgLock(lockHeld, "unattended-upgr") },
	}[fault]
	select {
	case t.jobs <- do:
	default:
	}
}

// live makes what was ordered, and lets time pass over the network, until ctx ends.
func (t *trouble) live(ctx context.Context, names []string) {
	if t.faults == nil || t.faults.Rate == 0 {
		return
	}
	tick := time.NewTicker(networkTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-t.jobs:
			do()
		case <-tick.C:
			for _, n := range names {
				t.strike(n, t.faults.next("network "+n, networkFaults...))
			}
		}
	}
}
