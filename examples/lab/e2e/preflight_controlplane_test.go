//go:build e2e

package e2e

import "fmt"

// ailing are troubles of a control plane and of nodes that take a while to show.
func ailing() []trouble {
	return []trouble{
		{
			name:  "a learner of etcd", // the first: all members have to be well
			plant: `etcd_now member add newcomer --learner --peer-urls=https://127.0.0.1:12380`,
			cure:  `etcd_now member remove "$(etcd_now member list | sed -n 's/, unstarted.*//p')"`,
			want:  []wanted{{"blocker", "etcd.quorum", "etcd", "", "asked from", ""}},
		},
		{
			name: "a stopped kubelet", host: "w1",
			plant: `systemctl stop kubelet`,
			shows: notReady("w1"),
			cure:  `systemctl start kubelet`,
			want: []wanted{
				{"blocker", "host.kubelet", "w1", "the kubelet does not run", "kubelet.service is inactive", "upgrader doctor w1"},
				{"blocker", "node.ready", "w1", "the node is not Ready", "", "upgrader doctor w1"},
			},
			along: []string{"drain.capacity"}, // where it is the only worker
		},
		{
			name: "a stopped container runtime", host: "w2", ha: true,
			plant: `systemctl stop containerd`,
			shows: notReady("w2"),
			cure:  `systemctl start containerd`,
			want: []wanted{
				{"blocker", "host.runtime", "w2", "the container runtime does not answer", "crictl info", "systemctl status containerd"},
				{"blocker", "node.ready", "w2", "the node is not Ready", "", "upgrader doctor w2"},
			},
		},
		{
			name: "nobody leads the scheduler", host: everyControlPlane,
			plant: `take $m/kube-scheduler.yaml`,
			shows: `if pgrep -f "^kube-scheduler "; then exit 1; fi
k -n kube-system get lease kube-scheduler -o json | jq -e '.spec | .holderIdentity == "" or (.renewTime | sub("\\..*"; "Z") | now - fromdate > 32)'`,
			cure: `restore $m/kube-scheduler.yaml`,
			want: []wanted{
				{"blocker", "control-plane.leader", "cluster", "nobody leads kube-scheduler", "its lease", "upgrader doctor"},
				{"blocker", "control-plane.pods", "cp1", "the static pod kube-scheduler does not run", "there is none in the API", "upgrader doctor cp1"},
			},
			along: []string{"control-plane.pods"},
		},
		foreignFlag(),
		{
			name:  "a control plane that has lost its label",
			plant: `k label node cp1 node-role.kubernetes.io/control-plane-`,
			cure:  `k label node cp1 node-role.kubernetes.io/control-plane=`,
			want: []wanted{{"blocker", "node.role", "cp1", "it runs a control plane, but its node has not the label", "no label node-role.kubernetes.io/control-plane",
				"`kubectl label node cp1 node-role.kubernetes.io/control-plane=`"}},
		},
		{
			name: "an API server that the load balancer leaves out", host: "cp3", ha: true,
			plant: `iptables -I INPUT -p tcp --dport 6443 -s "$(ip route show default | cut -d ' ' -f 3)" -j REJECT --reject-with tcp-reset`,
			cure:  `iptables -D INPUT -p tcp --dport 6443 -s "$(ip route show default | cut -d ' ' -f 3)" -j REJECT --reject-with tcp-reset`,
			want:  []wanted{{"warning", "control-plane.balancer", theAPI, "the load balancer never leads to the API server of cp3", "new connections came to", "behind the load balancer"}},
		},
	}
}

// crashing is a DaemonSet whose pods end as soon as they began: on every worker, and told of each.
func crashing() []trouble {
	return []trouble{{
		name: "a DaemonSet that crash-loops", plant: apply("crashes"), cure: `k delete namespace crashes --timeout=120s`,
		shows: `k -n crashes get pods -o json | jq -e '[.items[] | select(.spec.nodeName == "w1")] | length == 1 and all(.[]; .status.containerStatuses[0] | .restartCount >= 3 and .state.waiting.reason == "CrashLoopBackOff")'`,
		want:  []wanted{{"warning", "node.daemons", "w1", "of DaemonSet shop is not well: CrashLoopBackOff (container shop)", "it last ended with exit code 1", "kubectl -n crashes get pods -o wide"}},
		along: []string{"node.daemons"},
	}}
}

// editedManifest is an edit of a static pod, which kubeadm would undo. Its comparison needs all manifests to be there.
func editedManifest() trouble {
	return trouble{
		name:  "an edited manifest",
		plant: edit("kube-scheduler", "--v=4"), shows: `runs kube-scheduler`, cure: `restore $m/kube-scheduler.yaml`,
		want: []wanted{{"blocker", "config.manifests", "cp1", "differ from what kubeadm renders", "-    - --v=4", "extraArgs"}},
	}
}

// foreignFlag is an edit of etcd's, which kubeadm does not compare. Whoever is with the member may have to wait.
func foreignFlag() trouble {
	return trouble{
		name: "a flag of etcd that kubeadm does not render", host: "cp2", ha: true,
		plant: edit("etcd", "--max-txn-ops=256"), shows: `runs etcd; runs kube-apiserver; runs kube-controller-manager`, cure: `restore $m/etcd.yaml`,
		want:  []wanted{{"blocker", "config.manifests", "cp2", "flags that kubeadm does not render", "--max-txn-ops=256", "extraArgs"}},
		along: []string{"control-plane.pods"},
	}
}

// edit adds a flag to the manifest of a component.
func edit(component, flag string) string {
	return fmt.Sprintf(`take $m/%[1]s.yaml; sed 's/^    - %[1]s$/&\n    - %[2]s/' "$(kept $m/%[1]s.yaml)" >$m/%[1]s.yaml`, component, flag)
}

// halved are troubles that leave a control plane of three with little.
func halved() []trouble {
	return []trouble{
		{
			name: "a member of etcd is stopped", host: "cp3", ha: true,
			plant: `take $m/etcd.yaml`,
			shows: `! pgrep -x etcd`,
			cure:  `restore $m/etcd.yaml`,
			want: []wanted{
				{"blocker", "etcd.quorum", "etcd", "", "asked from", ""},
				{"blocker", "control-plane.api", "cp3", "its API server is not ready", "readyz of", "upgrader doctor cp3"},
			},
			along: []string{"control-plane.pods", "control-plane.balancer"},
		},
		{
			name: "an API server that nobody reaches", host: "cp2", ha: true,
			plant: `iptables -I INPUT -p tcp --dport 6443 -j REJECT`,
			cure:  `iptables -D INPUT -p tcp --dport 6443 -j REJECT`,
			want:  []wanted{{"blocker", "control-plane.api", "cp2", "its API server is not ready", "readyz of", "upgrader doctor cp2"}},
			along: []string{"control-plane.pods", "control-plane.balancer"},
		},
	}
}

// notReady succeeds when the API knows that a node is not Ready, wherever it is asked.
func notReady(node string) string {
	return `kubectl --kubeconfig=/etc/kubernetes/kubelet.conf get node ` + node + ` -o json | jq -e '.status.conditions[] | select(.type == "Ready" and .status != "True")'`
}
