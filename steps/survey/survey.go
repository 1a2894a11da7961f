// Package survey looks at a whole cluster before anything is done to it: every host over SSH in one round trip, and what
// the API tells. It judges nothing; the checks of preflight and the diagnoses of doctor do, as pure functions of what it
// brings home. It reads only. It may import engine/printable, census, inquiry, kube and remote.
package survey

import (
	"crypto/x509"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/inquiry"
)

// A Host is what a host tells of itself. What could not be found out is zero; the script host.sh says what is asked.
type Host struct {
	Name string
	Err  error // the host could not be asked, and nothing else is known

	Hung []string                  // programs that did not answer there: "df -Pk / has not answered for 8s"; what they tell is not known
	More map[string]inquiry.Answer // to the questions of who asked, by their names

	Root   bool          // the script ran as root
	Now    time.Time     // when it was asked, by its own clock
	Clock  time.Duration // how far that is ahead of ours, half of the round trip taken off
	Kernel string        // as uname -r has it
	Cgroup string        // type of the file system at /sys/fs/cgroup: cgroup2fs is version 2, tmpfs version 1

	Kubeadm, Kubelet, Kubectl string // versions of the programs on the disk, without the v

	Disks      []Disk
	Swaps      []string // files and partitions in use as swap
	EtcdDB     int64    // bytes of the local member's database
	Snapshots  []Snapshot
	Leftovers  []File // in /etc/kubernetes/tmp, with their sizes
	Units      map[string]Unit
	Unattended bool // apt upgrades packages by itself

	Files        map[string]string    // texts of configuration files, by path
	Changed      map[string]time.Time // when each of them was written, by the host's own clock
	Command      []string             // of the running kubelet
	Certificates []Certificate
	Kubeconfigs  map[string]string // the server that each kubeconfig names, by path

	Runtime    Runtime
	Apt        Apt
	API        *API   // of a control plane; nil elsewhere
	Difference string // what `kubeadm upgrade diff` says about the manifests at the cluster's version
	Compared   bool   // Difference was asked for, and answered
}

// A Disk is a file system below a path that matters.
type Disk struct {
	Path, Device, Mount string
	Size, Free          int64 // bytes
	Inodes, InodesFree  int64 // 0 where the file system counts none
}

// A File is a path, the bytes below it, and when it was written by the host's own clock.
type File struct {
	Path    string
	Size    int64
	Changed time.Time
}

// A Snapshot is one of etcd that was saved on the host.
type Snapshot struct {
	Path  string
	Taken time.Time
}

// A Unit is what systemd says of one. A unit that does not exist has Load not-found.
type Unit struct {
	Load, Active, Sub, Enabled string
	Restarts                   int
	Result                     string        // how it last ended: "exit-code 1"
	Ran                        bool          // it was started since the host was
	Began                      time.Duration // ago, the last time
}

// A Certificate is one that a host holds. A file that holds none that can be read has Err.
type Certificate struct {
	Path string
	X509 *x509.Certificate
	Err  error
}

// A Runtime is the container runtime as crictl finds it.
type Runtime struct {
	Asked   bool // there is a crictl to ask with
	Answers bool
	Says    string            // its complaint, when it does not answer
	Images  map[string]string // by name: "here", or what the registries said: "404@https://registry.k8s.io"
}

// Apt is what the package manager knows.
type Apt struct {
	There       bool
	Signatures  []Signature
	Remote      map[string][]string // package: revisions in the repository of the target's minor version
	Unreachable string              // why that repository could not be asked
	Simulated   bool                // the installation was tried without doing it
	Fails       bool                // and apt refused
	Says        []string            // its last words then, or what it would do: "Inst kubelet [1.27.3-1.1] (1.28.15-1.1 ...)"
	Held        []string            // every package that is held
}

// Touches tells whether the simulated installation would install or remove a package.
func (a *Apt) Touches(name string) bool {
	for _, line := range a.Says {
		if strings.HasPrefix(line, "Inst "+name+" ") || strings.HasPrefix(line, "Remv "+name+" ") {
			return true
		}
	}
	return false
}

// A Signature is gpgv's verdict on a package list: GOODSIG, EXPKEYSIG, ...
type Signature struct{ List, Verdict, Key string }

// An API is the API server of one host, asked on that host and not through a load balancer.
type API struct {
	Address    string // host:port
	Ready      bool
	Says       string // when it is not ready
	Started    time.Time
	Deprecated []Requested
}

// A Requested is an API version that somebody asked this API server for since it started, and that will be removed.
type Requested struct{ Group, Version, Resource, Subresource, RemovedIn string }
