// Package host is one host of a lab: a set of namespaces with systemd as pid 1.
//
// A host has its own mount, pid, network, UTS, IPC and cgroup namespaces, over a Debian root file system that all hosts
// share and a writable layer of its own. It is not a user namespace: root in it is root of the machine, so a host is for
// software that one trusts, on a machine that one can spare. It shares the kernel and the clock of the machine.
//
// Every host has a supervisor, a process that boots it, boots it again when it reboots, and waits for Boot when it went
// off. The supervisor runs the program itself as `internal-host DIR` (Supervise), and pid 1 as `internal-init DIR`
// (Init). The other functions speak to the supervisor over a socket in DIR. All of a host dies with its supervisor: the
// kernel sees to that. Mounts are made in the host's own namespace and end with it.
//
//	DIR/host.json                   the configuration
//	DIR/upper, work, root           the writable layer, and where pid 1 puts the layers together
//	DIR/data                        /var/lib/containerd, /var/lib/kubelet and /var/log, on the machine's own file system
//	DIR/console.log, supervisor.log what to read when a host does not boot
//	DIR/control, supervisor.lock, cgroups
//
// This has been proved on a machine that has cgroup v1 beside v2 (hybrid). Where v2 is all there is, it has not: hosts
// were seen to boot with v2 alone, but without its controllers, so without kubelet.
//
// It may import the standard library and golang.org/x/sys/unix.
package host
