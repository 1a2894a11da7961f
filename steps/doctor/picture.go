package doctor

import (
	"time"

	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

// A Picture is everything that was seen of a cluster, at one time.
type Picture struct {
	Now       time.Time
	Hosts     []*Host
	Etcd      *etcd.Report // as it was told on the host that could tell most; nil if none could
	API       API
	Knowledge *knowledge.Base
}

// An API is what the API says. Err is why it does not; then the rest is empty.
type API struct {
	Server     string // the address of the kubeconfig; empty: there is none, and nobody was asked
	Err        error
	Nodes      []kube.Node
	Pods       []kube.Pod       // of kube-system
	Complaints []kube.Complaint // likewise
	Leaders    map[string]kube.Leader
	Config     string // kubeadm's ClusterConfiguration
}

// answers tells whether the API was asked and answered.
func (a *API) answers() bool { return a.Server != "" && a.Err == nil }

// A Host is a host as survey sees it, and what doctor.sh tells beside that. What could not be found out is zero.
type Host struct {
	*survey.Host
	ControlPlane bool

	Full       []survey.Disk // file systems without room
	Backups    string        // du -sh of /etc/kubernetes/tmp
	Upgraded   bool          // kubeadm changed something here within a day
	EtcdData   bool          // a member of etcd has lived here
	Services   map[string]*Service
	Components map[string]*Component
	Job        *Job
	Expiration string   // the table of kubeadm certs check-expiration
	Silent     []string // programs that did not answer, as survey names them
	Forbidden  string   // what the API says of admin.conf, where it may do nothing
	CgroupType string   // as stat -fc %T has it
}

// A Service is a unit of systemd.
type Service struct {
	Active, Sub string
	Restarts    int
	Result      string        // how it last ended: "exit-code 1"
	Ran         bool          // it was started since the host was
	Began       time.Duration // ago, the last time
	Log         []string
}

// A Component is a static pod of the control plane.
type Component struct {
	Manifest bool
	Age      time.Duration // of the manifest
	Backup   string        // where kubeadm keeps a copy of a manifest that is gone
	Process  string        // its number, or the container's where the process could not be told; empty: it does not run
	Logs     []Log         // of its last container, and of the one before
	About    []string      // what the kubelet says of it
}

// A Log is the end of what one container said.
type Log struct {
	Began, Ended time.Duration // ago: its first line and its last
	Lines        []line
}

// A line is a line of a container's log, as the container runtime writes it.
type line struct {
	at   time.Time
	text string
}

// A Job is the last that upgrader did on the host, within a day.
type Job struct {
	Name string
	Ago  time.Duration
	Code string // its exit status; "none": it runs, or was cut
	Out  []string
}

// minor is the minor version of the kubelet's program on a host: what runs there next. Zero if nobody knows.
func (h *Host) minor() knowledge.Minor {
	v, err := skew.Parse(h.Kubelet)
	if err != nil {
		return 0
	}
	return knowledge.Minor(v.Minor()) //nolint:gosec // versions are small numbers
}
