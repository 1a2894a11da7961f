// Package build fills the lab's cache with everything that a lab is made of: the binaries of Kubernetes, etcd, CoreDNS
// and the network plugins out of their Go modules, Debian packages in a signed repository per minor version, container
// images as the static files of a registry, and the root file system of the hosts.
//
// What is built is a list of parts. Each has a key, the hash of all that it is made from, and is made anew only when its
// key changes. The versions are pinned twice: by the table of releases, and by the nested modules in ../modules, whose
// go.sum decides every byte of source.
//
// It may import the standard library and golang.org/x/sys/unix.
package build
