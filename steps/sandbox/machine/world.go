package machine

// A World is what a machine sees of the cluster that it belongs to: the pretend control plane. Every method is safe
// for concurrent use, answers at once, and never calls back into the machine on the same goroutine.
type World interface {
	// ClusterVersion is the kubernetesVersion of the ConfigMap kubeadm-config, "1.28.15".
	ClusterVersion() string
	// SetClusterVersion writes it, as kubeadm upgrade apply does near its end.
	SetClusterVersion(v string)

	// ControlPlanes are the names of the hosts that run a control plane, sorted.
	ControlPlanes() []string
	// KubeletVersions are the versions of the kubelets that run, by host, as their nodes report them.
	KubeletVersions() map[string]string

	// StaticPod is what runs now on a host: the image of a component (kube-apiserver, kube-controller-manager,
	// kube-scheduler, etcd), and whether its pod is ready. An unknown component has the image "".
	StaticPod(host, component string) (image string, ready bool)
	// RunStaticPod says that the pretend kubelet noticed a new manifest: the pod restarts with this image. It returns
	// at once; the restart takes a moment, and while kube-apiserver restarts the API of that host is away.
	RunStaticPod(host, component, image string)

	// KubeletStarted says that a kubelet of this version began to run, under this boot ID.
	KubeletStarted(host, version, bootID string)
	// KubeletStopped says that no kubelet runs on the host any more.
	KubeletStopped(host string)

	// EtcdMembers are the members of the pretend etcd cluster.
	EtcdMembers() []EtcdMember
	// APIReady says whether the API server of a host answers.
	APIReady(host string) bool
	// Metrics is what the API server of a host serves at /metrics, as far as anybody asks for it.
	Metrics(host string) string
}

// An EtcdMember is one member of the pretend etcd cluster.
type EtcdMember struct {
	Name      string // the host's
	ID        uint64
	PeerURL   string
	ClientURL string
	Version   string // "3.5.12"

	Healthy, Leader, Learner bool
	DBSize, Revision         int64
}

// A Recorder is told of every change that is made to a machine, once, when it takes effect. Reading is no change.
type Recorder interface{ Record(Effect) }

// An Effect is one change made to a machine.
type Effect struct {
	Host   string // the machine's name
	What   string // the sort of change: one of the Effect constants
	Detail string // what exactly: "kubeadm 1.28.15-1.1 (was 1.27.16-1.1)"
	Ticket string // the ID of the upgrader job that made it, "" when it was made outside one
}

// The sorts of change that a machine records.
const (
	EffectPackage  = "package"     // installed, upgraded or configured
	EffectHold     = "hold"        // a package was held or unheld
	EffectLists    = "apt-lists"   // apt-get update brought new package lists
	EffectUnit     = "unit"        // a unit was started, stopped or restarted, or systemd reloaded
	EffectFile     = "file"        // a file outside the working directories was written, moved or removed
	EffectJobStart = "job-started" // a transient unit began
	EffectJobEnd   = "job-ended"   // and ended; the detail holds its exit status
	EffectKubeadm  = "kubeadm"     // kubeadm upgrade apply or node ran to its end
	EffectManifest = "manifest"    // a static pod manifest was replaced
	EffectSnapshot = "snapshot"    // etcdctl snapshot save wrote a file
	EffectReboot   = "reboot"      // the machine went down to come up again
)
