//go:build linux

package build

import (
	"os"
	"path/filepath"
	"strings"
)

// A Cache is the directory that holds what has been built, and the labs that run.
type Cache struct{ Dir string }

// DefaultCache is $LAB_CACHE, or a directory that every user of this machine shares.
func DefaultCache() Cache {
	if dir := os.Getenv("LAB_CACHE"); dir != "" {
		return Cache{dir}
	}
	return Cache{"/var/cache/upgrader-lab"}
}

// Kubernetes is the path of a program of a Kubernetes version: kubeadm, kubectl, and so on.
func (c Cache) Kubernetes(version, program string) string {
	return c.path("bin", "v"+bare(version), program)
}

// Etcd is the path of a program of the etcd that goes with a Kubernetes version: etcd, etcdctl or etcdutl. There is
// none for a version that is not pinned.
func (c Cache) Etcd(version, program string) string {
	r, err := ReleaseOf(version)
	if err != nil {
		return ""
	}
	return c.path("bin", "etcd-"+r.etcdVersion(), program)
}

// Rootfs is the root file system of the hosts, read-only for them.
func (c Cache) Rootfs() string { return c.path("rootfs") }

// Apt holds a signed repository per minor version, to be served as it is.
func (c Cache) Apt() string { return c.path("apt") }

// Registry holds v2/, to be served as it is, but for the Content-Type of manifests.
func (c Cache) Registry() string { return c.path("registry") }

// Lab is the directory of a running lab.
func (c Cache) Lab(name string) string { return c.path("labs", name) }

func (c Cache) path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir}, elem...)...)
}

// log is where the output of what makes a part goes.
func (c Cache) log(part string) string { return c.path("log", fileName(part)+".log") }

// fileName makes a file name of the name of a part.
func fileName(part string) string { return strings.ReplaceAll(part, " ", "-") }
