// Package sandbox is a pretend kubeadm cluster with real doors: every pretend machine answers real SSH on loopback,
// and the API is real HTTPS with its own certificate authority. It exists so that the whole program, from the command
// line to the last byte on the wire, can be tried, shown and broken on one computer within seconds.
//
// What is pretend: the machines (package machine), the objects of the API, the scheduler, the controllers, the
// kubelets and all durations. What is real: SSH, TLS, HTTP, the JSON of the Kubernetes API, and the rules that an
// upgrade depends on (disruption budgets, resource versions, an API server that is away while it restarts).
//
// The sandbox is its own judge. Whatever a client changes is written to effects.jsonl as it happens, and so is every
// change in the number of workers out of service and every version skew that Kubernetes does not support.
//
// It may import package machine, the types of k8s.io/api and k8s.io/apimachinery, golang.org/x/crypto/ssh,
// golang.org/x/sys (for flock) and the standard library. It knows nothing of engine or of the kinds that act on it.
package sandbox
