//go:build e2e

package e2e

import (
	"embed"
	"fmt"
)

//go:embed testdata/preflight
var objects embed.FS

// undrainable are pods that do not leave, or do not come back.
func undrainable() []trouble {
	var all []trouble
	for _, x := range []struct {
		name, file string
		shows      string // beside its pods being Ready
		want       wanted
	}{
		{"a budget that allows nothing", "budget", counted, wanted{"blocker", "drain.budget", "PodDisruptionBudget budget/never", "it never allows 1 pod to be evicted", "budget/shop-", "maxUnavailable: 1"}},
		{"two budgets for one pod", "overlap", counted, wanted{"blocker", "drain.overlap", "PodDisruptionBudgets overlap/first, overlap/second", "1 pod is covered by more than one", "overlap/shop-", "kubectl -n overlap get pdb"}},
		{"a pod without a controller", "bare", "", wanted{"blocker", "drain.bare", anyHost, "the drain refuses 1 pod without a controller", "bare/shop", "force: true"}},
		{"a pod with data in an emptyDir", "emptydir", "", wanted{"blocker", "drain.emptydir", anyHost, "1 pod with emptyDir volumes", "emptydir/shop-", "deleteEmptyDir: true"}},
		{"a volume of one node", "local", "", wanted{"warning", "drain.local", "w1", "1 pod waits until this node is back", "local/shop-", "do without them"}},
		{"pods that nobody else has room for", "roomy", "", wanted{"blocker", "drain.capacity", "w1", "on no other node while w1 is out of service", "roomy/shop-", "make room"}},
		{"a pod that takes its time", "slow", "", wanted{"warning", "drain.slow", anyHost, "its drain may take 30m", "slow/shop-", "longer timeout"}},
	} {
		all = append(all, trouble{
			name: x.name, plant: apply(x.file), shows: running(x.file) + x.shows, cure: remove(x.file), want: []wanted{x.want},
			along: []string{"drain.single", "drain.capacity", "drain.slow"}, // there is one replica of each, and maybe one worker; pods are met again where they move
		})
	}
	hook := trouble{
		name: "a webhook that fails closed", shows: `k get validatingwebhookconfiguration webhook`, cure: remove("webhook"),
		plant: apply("webhook") + "k -n webhook rollout status deployment/shop --timeout=60s\n" + read("hook"),
		want: []wanted{{
			"blocker", "drain.webhook", "ValidatingWebhookConfiguration webhook",
			"it stops the very pods that would answer for it again from being created", "service webhook/shop", "run two replicas",
		}},
	}
	return append(all, hook, silent(), lost())
}

// silent is a webhook whose service is gone, for what nobody writes beside kubeadm.
func silent() trouble {
	return trouble{
		name: "a webhook that nobody answers for", plant: "ns=kube-public\n" + read("silent"), cure: `k delete validatingwebhookconfiguration silent`,
		want: []wanted{{
			"blocker", "api.webhook", "ValidatingWebhookConfiguration silent", "CREATE roles.rbac.authorization.k8s.io in kube-public",
			"service silent/gone does not exist", "kubectl delete validatingwebhookconfiguration/silent",
		}},
	}
}

// lost is a part of the API without a server. It is the first to be cured: meanwhile no namespace can be deleted.
func lost() trouble {
	return trouble{
		name: "a part of the API that no server answers for", plant: "ns=kube-system\n" + read("lost"), cure: `k delete apiservice v1.preflight.example.org`,
		shows: `k get apiservice v1.preflight.example.org -o json | jq -e 'any(.status.conditions[]; .type == "Available" and .status == "False")'`,
		want: []wanted{{
			"warning", "api.unavailable", "APIService v1.preflight.example.org", "no server answers for it", "service kube-system/gone",
			"kubectl delete apiservice v1.preflight.example.org",
		}},
	}
}

// counted succeeds when the budgets of the namespace have been counted.
const counted = `k -n $ns get pdb -o json | jq -e 'all(.items[]; .status.expectedPods == 1)'`

// apply makes the objects of a file, in a namespace of that name.
func apply(name string) string {
	return fmt.Sprintf("k create namespace %[1]s\nns=%[1]s\n%[2]s", name, read(name))
}

// read makes the objects of a file. LARGE stands for more than half of a worker's CPU.
func read(name string) string {
	text, err := objects.ReadFile("testdata/preflight/" + name + ".yaml")
	if err != nil {
		panic(err) // it is embedded
	}
	return fmt.Sprintf(`large=$(k get node w1 -o json | jq -r '.status.allocatable.cpu | (if endswith("m") then .[:-1] | tonumber else tonumber * 1000 end) * 6 / 10 | floor')
sed "s/LARGE/${large}m/" <<'EOF' | k -n $ns apply -f -
%s
EOF
`, text)
}

// running succeeds when the pods of a namespace are Ready, as many as there are workers to take them.
func running(namespace string) string {
	return fmt.Sprintf(`ns=%s
ready=$(k -n $ns get pods -o json | jq '[.items[] | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length')
wanted=$(k -n $ns get pods -o name | wc -l)
[ "$ready" -ge 1 ]
if [ $ns = roomy ]; then wanted=$(k get nodes -l '!node-role.kubernetes.io/control-plane' -o name | wc -l); fi
[ "$ready" = "$wanted" ]
`, namespace)
}

func remove(namespace string) string {
	return fmt.Sprintf(`k delete validatingwebhookconfiguration,pv -l preflight=%[1]s --wait=false
k -n %[1]s delete deployment,pvc --all --wait=false
for i in $(seq 60); do # one may be made anew before its owner has heard, and would take its own time to end
	if [ -z "$(k -n %[1]s get pods -o name)" ]; then break; fi
	k -n %[1]s delete pods --all --grace-period=1 --wait=false
	sleep 1
done
k delete namespace %[1]s --wait=false
`, namespace)
}
