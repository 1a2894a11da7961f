package machine

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// programMark begins the file of a command that the machine has built in.
const programMark = "\x7fpretend program "

// commands are all commands that a machine knows, by name.
func commands() map[string]command {
	all := map[string]command{}
	for _, family := range []map[string]command{
		fileCommands(), textCommands(), lookCommands(), systemCommands(), unitCommands(), packageCommands(), kubernetesCommands(), etcdCommands(),
	} {
		maps.Copy(all, family)
	}
	return all
}

// elsewhere are the commands that are not in /usr/bin.
var elsewhere = map[string]string{"reboot": "/usr/sbin", "shutdown": "/usr/sbin", "runuser": "/usr/sbin", "ip": "/usr/sbin", "fuser": "/usr/bin", "etcdctl": "/usr/local/bin", "etcdutl": "/usr/local/bin"}

// seed lays out the disk of a host that kubeadm has set up.
func (m *Machine) seed() {
	t := m.tree
	for _, dir := range []string{
		"/root", "/etc", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/var/lib/dpkg/updates", "/var/lib/dpkg/info", "/var/lib/apt/lists", "/var/cache/apt/archives",
		"/var/log", "/var/backups", "/var/tmp", "/etc/apt/sources.list.d", "/etc/apt/keyrings", "/etc/kubernetes/tmp", "/var/lib/containerd", "/proc", "/dev", "/sys/fs/cgroup", "/opt", "/srv", "/boot",
	} {
		t.mustDir(dir)
	}
	t.mustSet("/root", func(n *node) { n.mode = fs.ModeDir | 0o700 })
	t.mustSet("/var/tmp", func(n *node) { n.mode |= 0o777 })
	if m.cfg.Login != "root" {
		t.mustDir(home(m.cfg.Login))
		t.mustSet(home(m.cfg.Login), func(n *node) { n.owner, n.group = m.cfg.Login, m.cfg.Login })
	}
	t.mustLink("/usr/bin", "/bin")
	t.mustLink("/usr/sbin", "/sbin")
	t.mustLink("/run", "/var/run")
	m.mountProc()
	m.seedPrograms()
	m.seedPackages()
	m.seedKubernetes()
}

func (m *Machine) seedPrograms() {
	for name := range m.commands {
		if (name == "etcdctl" || name == "etcdutl") && !m.cfg.ControlPlane {
			continue
		}
		dir := elsewhere[name]
		if dir == "" {
			dir = "/usr/bin"
		}
		m.tree.put(dir+"/"+name, programMark+name, 0o755)
	}
}

func (m *Machine) seedPackages() {
	r, _ := parseRelease(m.cfg.Version)
	revision := m.cfg.Version + "-1.1"
	m.apt = aptState{packages: map[string]*pkg{
		"kubeadm": {revision, 'i', true}, "kubelet": {revision, 'i', true}, "kubectl": {revision, 'i', true},
		"kubernetes-cni": {"1.2.0-2.1", 'i', false}, "cri-tools": {fmt.Sprintf("1.%d.0-1.1", r.minor), 'i', false},
		"containerd": {"1.6.20~ds1-1+deb12u1", 'i', false}, "openssh-server": {"1:9.2p1-2+deb12u3", 'i', false},
		"systemd": {"252.30-1~deb12u2", 'i', false},
	}}
	address := fmt.Sprintf("https://pkgs.k8s.io/core:/stable:/v1.%d/deb/", r.minor)
	m.apt.lists = map[int]string{r.minor: strings.TrimSuffix(address, "/")}
	t := m.tree
	t.put("/etc/apt/sources.list.d/kubernetes.list", "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] "+address+" /\n", 0o644)
	t.put("/etc/apt/keyrings/kubernetes-apt-keyring.gpg", keyMark+"\n", 0o644)
	m.writeLists()
	t.put("/etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n", 0o644)
	t.put("/var/lib/dpkg/status", "", 0o644)
	for _, lock := range slices.Concat(dpkgLocks, []string{aptLists, "/var/cache/apt/archives/lock"}) {
		t.put(lock, "", 0o640)
	}
	t.put("/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n", 0o644)
	t.put("/etc/debian_version", "12.7\n", 0o644)
	t.put("/etc/hostname", m.cfg.Name+"\n", 0o644)
	t.put("/etc/machine-id", m.cfg.MachineID+"\n", 0o444)
	t.put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
}

func (m *Machine) seedKubernetes() {
	t := m.tree
	t.mustDir(manifestDir)
	m.seedKubeletFiles()
	m.seedRuntime()
	m.seedCertificates()
	if !m.cfg.ControlPlane {
		return
	}
	t.put("/var/lib/etcd/member/snap/db", strings.Repeat("\x00", 8192), 0o600)
	t.put("/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal", "", 0o600)
	t.mustSet("/var/lib/etcd", func(n *node) { n.mode = fs.ModeDir | 0o700 })
	for _, c := range components {
		image, _ := m.world.StaticPod(m.cfg.Name, c)
		if image == "" {
			image = Image(c, m.cfg.Version)
		}
		t.put(manifestDir+"/"+c+".yaml", m.manifest(c, image), 0o600)
	}
}
