package machine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Config says what a machine is when it is switched on for the first time.
type Config struct {
	Name         string // host name and node name
	Address      string // where sshd listens; "127.0.0.1:0" when empty
	ControlPlane bool   // static pods, etcd and admin.conf are there
	Version      string // of kubeadm, kubelet and kubectl, "1.27.16"; also what runs
	MachineID    string // of /etc/machine-id; one of its own when empty
	NodeAddress  string // of its network interface, the node's InternalIP; 192.0.2.1 when empty
	Endpoint     string // host:port at which the whole control plane is reached; "" where that is the only host of it

	Common *Common // what it shares with the other machines of the cluster; nil: nothing

	AuthorizedKey ssh.PublicKey // who may log in
	Login         string        // the account; "root" when empty
	SudoPassword  string        // asked of a login other than root; "" means that sudo asks nobody
	SudoRefused   bool          // the login may not become root at all

	World    World
	Recorder Recorder // nil: nobody wants to know
	Speed    float64  // how many times faster than its default the pretend work goes; 1 when 0
}

// A Machine is one pretend host. All its methods are safe for concurrent use.
type Machine struct {
	cfg      Config
	world    World
	tree     *tree
	locks    *lockTable
	server   *server
	commands map[string]command
	builtins map[string]func(c *call, last int) int
	all      sync.WaitGroup // every goroutine that the machine started

	mu      sync.Mutex
	procs   map[int]*proc
	lastPID int
	power   power
	units   map[string]*unit
	apt     aptState
	kubelet string // the version that runs, "" while none does
	disks   []Disk
	ahead   time.Duration // how far the clock goes wrong
}

// power is what lasts from one boot to the next.
type power struct {
	on     bool
	ctx    context.Context //nolint:containedctx // of this boot: done when the machine goes down
	down   context.CancelCauseFunc
	bootID string
	since  time.Time
	work   *sync.WaitGroup // everything that ends when the machine goes down
}

// errDown is why everything on a machine ends at once.
type errDown struct{ why string }

func (e errDown) Error() string { return "the machine went down: " + e.why }

// Start switches a machine on: it has booted and answers SSH when Start returns.
func Start(cfg Config) (*Machine, error) {
	if cfg.Name == "" || cfg.World == nil {
		return nil, fmt.Errorf("starting a pretend machine: it needs a name and a world")
	}
	cfg.Login = cmp.Or(cfg.Login, "root")
	cfg.Address = cmp.Or(cfg.Address, "127.0.0.1:0")
	cfg.MachineID = cmp.Or(cfg.MachineID, newInvocation())
	cfg.NodeAddress = cmp.Or(cfg.NodeAddress, "192.0.2.1")
	cfg.Version = strings.TrimPrefix(cfg.Version, "v")
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	if cfg.Common == nil {
		own, err := NewCommon()
		if err != nil {
			return nil, fmt.Errorf("starting the pretend machine %s: %w", cfg.Name, err)
		}
		cfg.Common = own
	}
	m := &Machine{
		cfg: cfg, world: cfg.World, tree: newTree(time.Now), locks: newLockTable(), commands: commands(), builtins: shellCommands(),
		procs: map[int]*proc{}, lastPID: 300, units: map[string]*unit{},
	}
	m.seed()
	srv, err := newServer(m, cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("starting the pretend machine %s: %w", cfg.Name, err)
	}
	m.server = srv
	m.boot()
	m.all.Go(srv.accept)
	return m, nil
}

// Name is the machine's host name.
func (m *Machine) Name() string { return m.cfg.Name }

// Addr is where its sshd listens.
func (m *Machine) Addr() net.Addr { return m.server.listener.Addr() }

// HostKey is what its sshd proves itself with.
func (m *Machine) HostKey() ssh.PublicKey { return m.server.key.PublicKey() }

// Close switches the machine off for good and waits until nothing of it runs any more.
func (m *Machine) Close() error {
	m.shutdown("closed")
	err := m.server.close()
	m.all.Wait()
	return err
}

// boot starts what runs on a machine that was just switched on.
func (m *Machine) boot() {
	ctx, down := context.WithCancelCause(context.Background())
	m.mu.Lock()
	again := m.power.bootID != ""
	m.power = power{on: true, ctx: ctx, down: down, bootID: newUUID(), since: time.Now(), work: &sync.WaitGroup{}}
	m.units = map[string]*unit{}
	m.mu.Unlock()
	m.clean()
	m.startUnits()
	if again {
		m.restartPods()
	}
}

// shutdown ends everything that runs on the machine. It answers nobody until boot.
func (m *Machine) shutdown(why string) {
	m.mu.Lock()
	was, down, work := m.power.on, m.power.down, m.power.work
	m.power.on = false
	m.kubelet = ""
	m.mu.Unlock()
	if !was {
		return
	}
	down(errDown{why})
	m.world.KubeletStopped(m.cfg.Name)
	m.server.drop()
	work.Wait()
}

// during starts something that lasts as long as the machine is up, at most; false when it is not up.
func (m *Machine) during(f func(boot context.Context)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.power.on {
		return false
	}
	ctx := m.power.ctx
	m.power.work.Go(func() { f(ctx) })
	return true
}

// clean empties the directories that do not survive a boot.
func (m *Machine) clean() {
	for _, dir := range []string{"/run", "/tmp"} {
		_ = m.tree.remove("root", dir, true) // missing at the first boot
		m.tree.mustDir(dir)
	}
	m.tree.mustSet("/tmp", func(n *node) { n.mode |= 0o777 })
	m.tree.mustDir("/run/lock")
	m.tree.mustDir("/run/systemd/system") // what tells that systemd is the init system (sd_booted(3))
	m.tree.put("/run/sshd.pid", "288\n", 0o644)
	m.tree.put("/run/containerd/containerd.sock", "", 0o660)
}

// up is the context of this boot: it is done when the machine goes down.
func (m *Machine) up() (context.Context, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.power.ctx, m.power.on
}

func (m *Machine) bootID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.power.bootID
}

// scaled is how long something takes on this machine that takes d by default.
func (m *Machine) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / m.cfg.Speed)
}

// record tells the recorder of a change.
func (m *Machine) record(p *proc, what, format string, args ...any) {
	if m.cfg.Recorder == nil {
		return
	}
	m.cfg.Recorder.Record(Effect{Host: m.cfg.Name, What: what, Detail: fmt.Sprintf(format, args...), Ticket: p.ticket()})
}

// working are the directories whose content is nobody's concern but a program's own.
var working = []string{"/var/lib/upgrader/", "/tmp/", "/run/", "/dev/", "/proc/", "/var/log/", "/var/lock/", "/var/tmp/"}

// changedFile records that a file was changed, unless it is one of the working files.
func (m *Machine) changedFile(p *proc, verb, name string) {
	for _, dir := range working {
		if strings.HasPrefix(name+"/", dir) {
			return
		}
	}
	m.record(p, EffectFile, "%s %s", verb, name)
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
