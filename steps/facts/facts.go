// Package facts names the facts that steps promise each other in a dry run and record in a real one. A promise is
// what will hold once a change has been made: it lets a later step of a dry run look past that change. It imports
// nothing.
package facts

// Package is the revision of a package installed on a host ("1.28.15-1.1").
func Package(host, name string) string { return "package." + name + "@" + host }

// Repository is the minor version that a host's package repository serves ("1.28").
func Repository(host string) string { return "repository@" + host }

// Node is "true" for a host that was a node of the cluster when the run began.
func Node(host string) string { return "node@" + host }

// Kubelet is the version of the kubelet that runs on a host ("1.28.15").
func Kubelet(host string) string { return "kubelet@" + host }

// ControlPlane is the version of the control plane's static pods on a host ("1.28.15").
func ControlPlane(host string) string { return "control-plane@" + host }

// ClusterVersion is the version in the cluster's kubeadm-config ("1.28.15").
const ClusterVersion = "cluster-version"

// Configured is the version that `kubeadm upgrade` has brought a worker's configuration to ("1.28.15").
func Configured(host string) string { return "configured@" + host }

// Cordoned is "true" for a host that takes no new pods, "false" once it takes them again.
func Cordoned(host string) string { return "cordoned@" + host }

// CordonedAt is when this run last began to cordon a host: it tells one drain of it from the next.
func CordonedAt(host string) string { return "cordoned-at@" + host }

// Evicted is how often evictions of one owner's pods from a host were asked for, see steps/node.
func Evicted(host, owner string) string { return "evicted." + owner + "@" + host }

// Left is set for the owner of pods that a drain leaves on a host, because they come back in spite of the cordon.
func Left(host, owner string) string { return "left." + owner + "@" + host }

// Released is set for a volume whose pod a drain has asked to leave a host.
func Released(host, volume string) string { return "released." + volume + "@" + host }

// Daemons is how the pods of DaemonSets on a host were when this run first cordoned it, as node.ready reads it.
func Daemons(host string) string { return "daemons@" + host }

// Drained is "true" for a host whose pods have been evicted.
func Drained(host string) string { return "drained@" + host }

// Restarted is "true" for a unit of a host that was restarted after its packages changed.
func Restarted(host, unit string) string { return "restarted." + unit + "@" + host }
