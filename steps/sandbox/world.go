package sandbox

import (
	"crypto/md5"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// How long things take in the pretend cluster at speed 1. They are about a tenth to a hundredth of what the real lab
// takes, in the same proportions, so that a whole upgrade can be watched.
const (
	restartAPIServer = 700 * time.Millisecond // real: 10-20 s
	restartEtcd      = 400 * time.Millisecond
	restartOther     = 250 * time.Millisecond
	mirrorReturns    = 50 * time.Millisecond  // to the API, of a static pod that was replaced; real: not measured
	kubeletReports   = 150 * time.Millisecond // from its start to the first status with its version
	kubeletReady     = 150 * time.Millisecond // from that to Ready
	nodeMonitorGrace = time.Second            // a silent kubelet's node stays Ready so long; real: 40 s
	renewLease       = time.Second            // kubelets renew their leases so often; real: 10 s
	renewLeader      = 200 * time.Millisecond // leaders of controllers renew theirs so often; real: 2 s
	leaderLasts      = time.Second            // and are followed after so long a silence, whole seconds; real: 15 s
	podsEnd          = 100 * time.Millisecond // a pod's end takes once to three times as long
	podsStart        = 100 * time.Millisecond // and its start once to twice
	volumesDetach    = 100 * time.Millisecond // after the pod's end; real: seconds, with many drivers
	retryPause       = 50 * time.Millisecond  // kubelets and controllers try again after it
)

// components are the static pods of a control plane, in the order of their names.
var components = [...]string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// A world is all there is to know about the pretend cluster. Its objects are the API's own; only the holder of mu
// looks at them or changes them.
type world struct {
	mu      sync.Mutex
	agenda  agenda
	speed   float64
	open    bool // the cluster runs; before that everything takes no time
	effects *record
	door    *door
	dice    *rand.Rand // names and small delays; always the same sequence
	version uint64     // the resourceVersion of the last change

	tables   map[string]*table
	hosts    map[string]*host
	names    []string // of the hosts: control planes first
	owners   []*owner
	config   string             // the version in kubeadm-config
	endpoint string             // host:port of the whole control plane, "" where it is one host
	leader   string             // of etcd
	leaders  map[string]*leader // by component
	flicker  int                // requests that still meet "etcdserver: leader changed"
	awake    bool               // the controllers have an appointment
	down     string             // the last Unavailable, to write only changes
	broken   map[string]bool
	failing  map[string][]string // node/DaemonSet: the versions of the kubelet with which its pod crashes
}

// A host is a machine as the cluster knows it.
type host struct {
	name    string
	control bool
	kubelet kubelet
	statics map[string]*static // by component; control planes only
}

// A kubelet is the agent of a host.
type kubelet struct {
	up      bool
	life    int // counts starts and stops: an appointment of an earlier life is void
	version string
	boot    string
	renewed time.Time
}

// A static is a static pod of a control plane.
type static struct {
	image    string
	restarts int
	ready    bool
	since    time.Time       // when its process began
	asked    []DeprecatedAPI // of it since then
}

func newWorld(o Options, effects *record, d *door) *world {
	w := &world{
		agenda: agenda{wake: make(chan struct{}, 1)},
		speed:  o.Speed, effects: effects, door: d, config: o.Version,
		dice:   rand.New(rand.NewPCG(1, 2)),
		tables: newTables(), hosts: map[string]*host{}, broken: map[string]bool{}, leaders: map[string]*leader{}, failing: map[string][]string{},
	}
	for i := range o.ControlPlanes {
		w.addHost(fmt.Sprintf("cp%d", i+1), i, true, o.Version)
	}
	for i := range o.Workers {
		w.addHost(fmt.Sprintf("w%d", i+1), i, false, o.Version)
	}
	if o.ControlPlanes > 1 {
		w.endpoint = balancer
	}
	w.leader = w.names[0]
	for _, component := range elected {
		w.elect(component, time.Now())
	}
	w.addSystem()
	if !o.NoWorkload {
		w.addWorkload(o.Workers)
	}
	w.settle()
	return w
}

// settle brings the cluster to rest before anybody sees it: every pod on its node and ready.
func (w *world) settle() {
	w.reconcile()
	for _, p := range list[*corev1.Pod](w, "pods") {
		if p.Spec.NodeName != "" {
			w.setPodReady(p, true)
		}
	}
	w.agenda.items = nil
	w.door.serve(w.readyServers())
	w.down = w.unavailable()
	w.open = true
}

// uid makes an identifier that no other sandbox has: a run must be able to tell two clusters apart.
func uid() types.UID {
	var b [16]byte
	_, _ = crand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return types.UID(h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:])
}

// meta is the metadata of a new object.
func (w *world) meta(namespace, name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid(), Labels: labels, CreationTimestamp: metav1.Now()}
}

// touch gives an object the next resource version, as every change does.
func (w *world) touch(o object) {
	w.version++
	o.SetResourceVersion(strconv.FormatUint(w.version, 10))
}

func (w *world) put(plural string, o object) {
	w.touch(o)
	w.tables[plural].objects[key(o.GetNamespace(), o.GetName())] = o
}

// erase takes an object out of its table, which is a change like any other.
func (w *world) erase(plural string, o object) {
	w.version++
	delete(w.tables[plural].objects, key(o.GetNamespace(), o.GetName()))
}

func (w *world) node(name string) *corev1.Node { return find[*corev1.Node](w, "nodes", key("", name)) }

func (w *world) mirror(h, component string) *corev1.Pod {
	return find[*corev1.Pod](w, "pods", key("kube-system", component+"-"+h))
}

// readyServers are the hosts whose API server answers.
func (w *world) readyServers() []string {
	var ready []string
	for _, n := range w.controlPlanes() {
		if w.hosts[n].statics["kube-apiserver"].ready {
			ready = append(ready, n)
		}
	}
	return ready
}

func (w *world) controlPlanes() []string {
	return slices.DeleteFunc(slices.Clone(w.names), func(n string) bool { return !w.hosts[n].control })
}

// quorum says whether more than half of the etcd members answer.
func (w *world) quorum() bool {
	all, ready := 0, 0
	for _, n := range w.controlPlanes() {
		all++
		if w.hosts[n].statics["etcd"].ready {
			ready++
		}
	}
	return ready*2 > all
}

// reachable says whether the API can be written: kubelets and controllers wait until it can.
func (w *world) reachable() bool { return len(w.readyServers()) > 0 && w.quorum() }

// imageOf is the image of a part of the control plane, as kubeadm of that version names it.
func imageOf(component, version string) string { return machine.Image(component, version) }

// tag is the version in an image's name, without v and without a build: "1.28.15", "3.5.12".
func tag(image string) string {
	t := image[strings.LastIndexByte(image, ':')+1:]
	t, _, _ = strings.Cut(strings.TrimPrefix(t, "v"), "-")
	return t
}

// minor is the minor version of "1.28.15"; 0 if there is none.
func minor(version string) int {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 {
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0
	}
	return n
}

// machineID is what /etc/machine-id of a host says.
func machineID(name string) string {
	sum := sha256.Sum256([]byte("machine-id " + name))
	return hex.EncodeToString(sum[:16])
}

// configHash is the annotation by which a kubelet tells one manifest from another; kubeadm waits for it to change.
func configHash(host, component string, s *static) string {
	sum := md5.Sum(fmt.Appendf(nil, "%s/%s/%s/%d", host, component, s.image, s.restarts))
	return hex.EncodeToString(sum[:])
}

var _ machine.World = (*world)(nil)
