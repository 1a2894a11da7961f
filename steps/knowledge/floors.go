package knowledge

import "slices"

// A Floor is what kubeadm and the kubelet of one target minor bring and ask for. Versions are text without a v, but for
// CoreDNS, whose tag has one.
type Floor struct {
	Target        Minor      `yaml:"target" required:"true"`
	Patch         string     `yaml:"patch" required:"true" doc:"the patch release that was read; images differ between patch releases"`
	OldestKubelet Minor      `yaml:"oldestKubelet" required:"true" doc:"the oldest kubelet in the cluster that kubeadm upgrades to the target with, without --force"`
	Containerd    Containerd `yaml:"containerd" required:"true"`
	Kernel        Kernel     `yaml:"kernel" required:"true"`
	CgroupV1      string     `yaml:"cgroupV1" required:"true" enum:"supported,maintenance,refused" doc:"refused: the kubelet does not start unless failCgroupV1 is false"`
	Etcd          Etcd       `yaml:"etcd" required:"true"`
	CoreDNS       string     `yaml:"coreDNS" required:"true" doc:"tag of the image that kubeadm puts in place, such as v1.10.1"`
	Pause         string     `yaml:"pause" required:"true" doc:"tag of the image that kubeadm pulls, such as 3.9"`
	Config        ConfigAPI  `yaml:"config" required:"true"`
	Source        string     `yaml:"source" required:"true"`
}

// Containerd is what a target asks of containerd.
type Containerd struct {
	Minimum     string   `yaml:"minimum" doc:"the kubelet does not work with an older one; empty: any"`
	Recommended []string `yaml:"recommended" doc:"the lowest recommended patch of each minor of containerd, the oldest first; empty: nobody has said yet"`
	CRIv1Only   bool     `yaml:"criV1Only" required:"true" doc:"the kubelet speaks CRI v1 and nothing older"`
	Source      string   `yaml:"source" required:"true"`
}

// Kernel is what kubeadm's preflight check SystemVerification asks of the kernel.
type Kernel struct {
	Minimum   string        `yaml:"minimum" required:"true" doc:"for people, in front of the words or newer: the oldest kernel that is accepted, or of each series that is"`
	Accepted  []*Expression `yaml:"accepted" required:"true" doc:"a kernel release, as uname -r prints it, matches one of them"`
	CheckedBy string        `yaml:"checkedBy" required:"true" enum:"join,upgrade" doc:"join: by init and join only; upgrade: by upgrade too"`
	Severity  string        `yaml:"severity" required:"true" enum:"blocker,warning" doc:"what another kernel means for an upgrade"`
	Source    string        `yaml:"source" required:"true"`
}

// Accepts tells whether kubeadm lets a kernel pass, by its release as uname -r prints it.
func (k Kernel) Accepts(release string) bool {
	return slices.ContainsFunc(k.Accepted, func(e *Expression) bool { return e.MatchString(release) })
}

// Etcd is which etcd a target brings, and which it can follow.
type Etcd struct {
	Tag                string `yaml:"tag" required:"true" doc:"tag of the image that kubeadm puts in place, such as 3.5.15-0"`
	OldestExternal     string `yaml:"oldestExternal" required:"true" doc:"the oldest external etcd that kubeadm init accepts; upgrade does not look"`
	OldestPinned       string `yaml:"oldestPinned" doc:"the oldest etcd that works with kubeadm's manifest where etcd.local.imageTag names one; empty: any"`
	RunningRequired    string `yaml:"runningRequired" doc:"the oldest etcd that every member has to run before the upgrade; with an older one members are lost; empty: any"`
	RunningRecommended string `yaml:"runningRecommended" doc:"the oldest etcd that every member should run before the upgrade; empty: any"`
	Source             string `yaml:"source" required:"true"`
}

// ConfigAPI is which versions of kubeadm.k8s.io a target knows.
type ConfigAPI struct {
	Stored   string   `yaml:"stored" required:"true" enum:"v1beta3,v1beta4" doc:"what upgrade writes into the ConfigMap kubeadm-config"`
	Readable []string `yaml:"readable" required:"true" doc:"what kubeadm reads, the oldest first"`
}

// LoadFloor is Floor for who needs nothing else: it reads one file instead of all.
func LoadFloor(target Minor) (Floor, bool, error) {
	const name = "floors.yaml"
	text, err := dataFS.ReadFile("data/" + name)
	if err != nil {
		return Floor{}, false, err
	}
	b := &Base{}
	if err := b.add(name, text); err != nil {
		return Floor{}, false, err
	}
	f, known := b.Floor(target)
	return f, known, nil
}

// Floor returns what is known of a target, or false for a minor that is not in the data.
func (b *Base) Floor(target Minor) (Floor, bool) {
	i := slices.IndexFunc(b.all.Floors, func(f Floor) bool { return f.Target == target })
	if i < 0 {
		return Floor{}, false
	}
	return b.all.Floors[i], true
}
