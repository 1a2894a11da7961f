package kube_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

const plainNode = `{"metadata": {"name": "w1", "labels": {"disk": "ssd", "kubernetes.io/hostname": "w1"}},
	"spec": {"unschedulable": true, "taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]},
	"status": {"allocatable": {"cpu": "1900m", "memory": "2Gi", "pods": "110", "ephemeral-storage": "10Gi"}}}`

// A node as a place for pods has what can be allocated, in thousandths of a core and in bytes.
func TestRooms(t *testing.T) {
	s := kubetest.New()
	s.Set(t, "/api/v1/nodes/w2", `{"metadata": {"name": "w2"}}`)
	s.Set(t, "/api/v1/nodes/w1", plainNode)
	rooms, err := s.Client(t, "r1").Rooms(t.Context())
	want := []kube.Room{
		{
			Node: "w1", Labels: map[string]string{"disk": "ssd", "kubernetes.io/hostname": "w1"}, CPU: 1900, Memory: 2 << 30, Pods: 110,
			Extended: map[string]int64{"ephemeral-storage": 10 << 30}, Unschedulable: true,
			Taints: []kube.Taint{{Key: "dedicated", Value: "db", Effect: "NoSchedule"}},
		},
		{Node: "w2"},
	}
	if diff := cmp.Diff(want, rooms); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// workload reads one pod with this spec through the API.
func workload(t *testing.T, spec string, others ...func(*kubetest.Server)) kube.PlacedPod {
	t.Helper()
	s := kubetest.New()
	for _, set := range others {
		set(s)
	}
	s.Set(t, "/api/v1/namespaces/shop/pods/cart-0",
		`{"metadata": {"name": "cart-0", "namespace": "shop", "labels": {"app": "cart", "hash": "1"}}, "spec": `+spec+`, "status": {"phase": "Running"}}`)
	all, err := s.Client(t, "r1").PlacedPods(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("got %v, %v", all, err)
	}
	return all[0]
}

// What a pod requests is counted as the scheduler does it: the sum of its containers or the largest of its init
// containers, those that go on running added to both, and the overhead of its runtime.
func TestRequests(t *testing.T) {
	const cart = `{"name": "cart", "resources": {"requests": {"cpu": "200m", "memory": "64Mi", "nvidia.com/gpu": "1"}}}`
	for _, tt := range []struct {
		name, spec  string
		cpu, memory int64
		extended    map[string]int64
	}{
		{"none", `{"containers": [{"name": "cart"}]}`, 0, 0, nil},
		{"the sum of containers", `{"containers": [` + cart + `,` + cart + `]}`, 400, 128 << 20, map[string]int64{"nvidia.com/gpu": 2}},
		{"a larger init container", `{"containers": [` + cart + `], "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "1"}}}]}`,
			1000, 64 << 20, map[string]int64{"nvidia.com/gpu": 1}},
		{"one that goes on running", `{"containers": [` + cart + `], "initContainers": [{"name": "i", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}]}`,
			1200, 64 << 20, map[string]int64{"nvidia.com/gpu": 1}},
		{"overhead", `{"containers": [` + cart + `], "overhead": {"cpu": "50m", "memory": "1Mi"}}`, 250, 65 << 20, map[string]int64{"nvidia.com/gpu": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := workload(t, tt.spec)
			if diff := cmp.Diff(tt.extended, w.Extended, cmpopts.EquateEmpty()); w.CPU != tt.cpu || w.Memory != tt.memory || diff != "" {
				t.Errorf("got %dm, %d bytes\n%s", w.CPU, w.Memory, diff)
			}
		})
	}
}

// Why a node refuses a pod, whatever else stands there.
func TestRefused(t *testing.T) {
	room := func(change func(*kube.Room)) kube.Room {
		r := kube.Room{Node: "w1", Labels: map[string]string{"disk": "ssd", "cores": "8"}}
		if change != nil {
			change(&r)
		}
		return r
	}
	tainted := func(effect string) func(*kube.Room) {
		return func(r *kube.Room) { r.Taints = []kube.Taint{{Key: "dedicated", Value: "db", Effect: effect}} }
	}
	cordoned := func(r *kube.Room) {
		r.Unschedulable, r.Taints = true, []kube.Taint{{Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule"}}
	}
	affinity := func(terms string) string {
		return `{"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [` + terms + `]}}}}`
	}
	const none, away = `{}`, "is not among the nodes of its node affinity"
	for _, tt := range []struct {
		name, spec string
		room       func(*kube.Room)
		want       string
	}{
		{"a node that asks for nothing", none, nil, ""},
		{"a cordon", none, cordoned, "is cordoned"},
		{"a cordon that is tolerated", `{"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]}`, cordoned, ""},
		{"a pod that tolerates everything", `{"tolerations": [{"operator": "Exists"}]}`, cordoned, ""},
		{"a taint", none, tainted("NoSchedule"), "has the taint dedicated=db:NoSchedule"},
		{"a taint that evicts", none, tainted("NoExecute"), "has the taint dedicated=db:NoExecute"},
		{"a taint that only asks", none, tainted("PreferNoSchedule"), ""},
		{"a taint that is tolerated", `{"tolerations": [{"key": "dedicated", "value": "db"}]}`, tainted("NoSchedule"), ""},
		{"a taint of another value", `{"tolerations": [{"key": "dedicated", "operator": "Equal", "value": "web"}]}`, tainted("NoSchedule"), "has the taint dedicated=db:NoSchedule"},
		{"a taint of another effect", `{"tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]}`, tainted("NoSchedule"), "has the taint dedicated=db:NoSchedule"},
		{"a comparison of numbers, which is off", `{"tolerations": [{"key": "dedicated", "operator": "Gt", "value": "1"}]}`, tainted("NoSchedule"), "has the taint dedicated=db:NoSchedule"},
		{"its node selector fits", `{"nodeSelector": {"disk": "ssd"}}`, nil, ""},
		{"its node selector does not fit", `{"nodeSelector": {"disk": "ssd", "zone": "a"}}`, nil, "has not the label zone=a"},
		{"its node affinity fits", affinity(`{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]}`), nil, ""},
		{"its node affinity does not fit", affinity(`{"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["ssd"]}]}`), nil, away},
		{"one of its terms fits", affinity(`{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]}`), nil, ""},
		{"it is for another node", affinity(`{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w2"]}]}`), nil, away},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := workload(t, tt.spec).Refused(room(tt.room)); got != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A pod follows its volumes: one that no other node can reach binds it to its own.
func TestVolumesOfPlacedPods(t *testing.T) {
	const spec = `{"nodeName": "w1", "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
		{"name": "zone", "persistentVolumeClaim": {"claimName": "zone"}}, {"name": "new", "persistentVolumeClaim": {"claimName": "new"}},
		{"name": "logs", "hostPath": {"path": "/var/log"}}]}`
	volume := func(name, key, value string) func(*kubetest.Server) {
		return func(s *kubetest.Server) {
			s.Set(t, "/api/v1/persistentvolumes/"+name, `{"metadata": {"name": "`+name+`"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
				{"matchExpressions": [{"key": "`+key+`", "operator": "In", "values": ["`+value+`"]}]}]}}}}`)
		}
	}
	claim := func(name, volume string) func(*kubetest.Server) {
		return func(s *kubetest.Server) {
			s.Set(t, "/api/v1/namespaces/shop/persistentvolumeclaims/"+name,
				`{"metadata": {"name": "`+name+`", "namespace": "shop"}, "spec": {"volumeName": "`+volume+`"}}`)
		}
	}
	w := workload(t, spec, volume("pv-local", "host", "w1"), volume("pv-zone", "zone", "a"),
		claim("data", "pv-local"), claim("zone", "pv-zone"), claim("new", ""))
	rooms := []kube.Room{
		{Node: "w1", Labels: map[string]string{"host": "w1", "zone": "a"}},
		{Node: "w2", Labels: map[string]string{"host": "w2", "zone": "a"}},
		{Node: "w3", Labels: map[string]string{"host": "w3", "zone": "b"}},
	}
	if diff := cmp.Diff([]string{"pv-local"}, w.Bound(rooms)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pv-local", "pv-zone"}, w.Bound([]kube.Room{rooms[0], rooms[2]})); diff != "" {
		t.Error(diff)
	}
	for i, want := range []string{"", "cannot reach volume pv-local", "cannot reach volume pv-local"} {
		if got := w.Refused(rooms[i]); got != want {
			t.Errorf("%s: got %q", rooms[i].Node, got)
		}
	}
	if !w.HostPath {
		t.Error("its directory of the node was not seen")
	}
}

// Rules about other pods name them by namespace and labels, with the defaults of the API.
func TestPeers(t *testing.T) {
	namespaces := func(s *kubetest.Server) {
		s.Set(t, "/api/v1/namespaces/bank", `{"metadata": {"name": "bank", "labels": {"team": "money"}}}`)
		s.Set(t, "/api/v1/namespaces/shop", `{"metadata": {"name": "shop", "labels": {"team": "sales"}}}`)
	}
	pods := []kube.Pod{
		{Namespace: "shop", Name: "same", Labels: map[string]string{"app": "cart", "hash": "1"}},
		{Namespace: "shop", Name: "older", Labels: map[string]string{"app": "cart", "hash": "0"}},
		{Namespace: "shop", Name: "other", Labels: map[string]string{"app": "web"}},
		{Namespace: "bank", Name: "bank", Labels: map[string]string{"app": "cart"}},
	}
	const cart, host = `"labelSelector": {"matchLabels": {"app": "cart"}}`, `"topologyKey": "kubernetes.io/hostname"`
	for _, tt := range []struct {
		name, rule string
		want       string
	}{
		{"its own namespace", cart, "same older"},
		{"named namespaces", cart + `, "namespaces": ["bank"]`, "bank"},
		{"selected namespaces", cart + `, "namespaceSelector": {"matchLabels": {"team": "money"}}`, "bank"},
		{"both", cart + `, "namespaces": ["shop"], "namespaceSelector": {"matchLabels": {"team": "money"}}`, "same older bank"},
		{"all namespaces", cart + `, "namespaceSelector": {}`, "same older bank"},
		{"no selector", `"namespaces": ["shop"]`, ""},
		{"an empty selector", `"labelSelector": {}`, "same older other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules := `{"requiredDuringSchedulingIgnoredDuringExecution": [{` + host + `, ` + tt.rule + `}]}`
			w := workload(t, `{"affinity": {"podAffinity": `+rules+`, "podAntiAffinity": `+rules+`}}`, namespaces)
			for _, peers := range [][]kube.Peers{w.Apart, w.Together} {
				if got := chosen(pods, peers[0]); got != tt.want || peers[0].Topology != "kubernetes.io/hostname" {
					t.Errorf("got %q by %s", got, peers[0].Topology)
				}
			}
		})
	}
	spread := func(rest string) string {
		return `{"nodeSelector": {"disk": "ssd"}, "topologySpreadConstraints": [
			{"maxSkew": 9, ` + host + `, "whenUnsatisfiable": "ScheduleAnyway", ` + cart + `},
			{"maxSkew": 2, ` + host + `, "whenUnsatisfiable": "DoNotSchedule", ` + cart + rest + `}]}`
	}
	hdd := kube.Room{Labels: map[string]string{"disk": "hdd"}}
	s := workload(t, spread("")).Spread
	if len(s) != 1 || s[0].MaxSkew != 2 || s[0].MinPlaces != 1 || s[0].SkipTaints || s[0].Counts(hdd) || chosen(pods, s[0].Peers) != "same older" {
		t.Errorf("by default: %+v", s)
	}
	s = workload(t, spread(`, "minDomains": 3, "matchLabelKeys": ["hash", "none"], "nodeTaintsPolicy": "Honor", "nodeAffinityPolicy": "Ignore"`)).Spread
	if s[0].MinPlaces != 3 || !s[0].SkipTaints || !s[0].Counts(hdd) || chosen(pods, s[0].Peers) != "same" {
		t.Errorf("with all fields: %+v", s)
	}
}

func chosen(pods []kube.Pod, p kube.Peers) string {
	var names []string
	for _, pod := range pods {
		if p.Selects(pod) {
			names = append(names, pod.Name)
		}
	}
	return strings.Join(names, " ")
}

// Ports of the node clash by number, protocol and address; the API's defaults are filled in.
func TestHostPorts(t *testing.T) {
	w := workload(t, `{"containers": [{"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 80, "hostPort": 80}, {"hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"}]}]}`)
	want := []kube.HostPort{{IP: "0.0.0.0", Protocol: "TCP", Port: 80}, {IP: "10.0.0.1", Protocol: "UDP", Port: 53}}
	if diff := cmp.Diff(want, w.Ports); diff != "" {
		t.Fatal(diff)
	}
	for _, tt := range []struct {
		other kube.HostPort
		want  bool
	}{
		{kube.HostPort{IP: "0.0.0.0", Protocol: "UDP", Port: 53}, true},
		{kube.HostPort{IP: "10.0.0.1", Protocol: "UDP", Port: 53}, true},
		{kube.HostPort{IP: "10.0.0.2", Protocol: "UDP", Port: 53}, false},
		{kube.HostPort{IP: "0.0.0.0", Protocol: "TCP", Port: 53}, false},
		{kube.HostPort{IP: "0.0.0.0", Protocol: "UDP", Port: 54}, false},
	} {
		if want[1].Clashes(tt.other) != tt.want || tt.other.Clashes(want[1]) != tt.want {
			t.Errorf("%+v", tt.other)
		}
	}
}

const admission = "/apis/admissionregistration.k8s.io/v1/"

// Only webhooks that fail closed and live in the cluster are told, with whom they are asked about.
func TestWebhooks(t *testing.T) {
	s := kubetest.New()
	s.Set(t, "/api/v1/namespaces/shop", `{"metadata": {"name": "shop", "labels": {"team": "sales"}}}`)
	s.Set(t, "/api/v1/namespaces/guard/services/policy", `{"metadata": {"name": "policy", "namespace": "guard"}, "spec": {"selector": {"app": "policy"}}}`)
	s.Set(t, admission+"validatingwebhookconfigurations/policy", `{"metadata": {"name": "policy"}, "webhooks": [
		{"name": "pods", "clientConfig": {"service": {"namespace": "guard", "name": "policy"}}, "failurePolicy": "Fail",
			"rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
			"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}, {"key": "team", "operator": "Exists"}]},
			"objectSelector": {"matchLabels": {"guarded": "yes"}}},
		{"name": "open", "clientConfig": {"service": {"namespace": "guard", "name": "policy"}}, "failurePolicy": "Ignore"},
		{"name": "outside", "clientConfig": {"url": "https://policy.example.org"}, "failurePolicy": "Fail"}]}`)
	s.Set(t, admission+"mutatingwebhookconfigurations/all", `{"metadata": {"name": "all"}, "webhooks": [
		{"name": "all", "clientConfig": {"service": {"namespace": "guard", "name": "gone"}}, "matchConditions": [{"name": "x", "expression": "true"}],
			"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]}]}`)
	hooks, err := s.Client(t, "r1").Webhooks(t.Context())
	if err != nil || len(hooks) != 2 {
		t.Fatalf("got %+v, %v", hooks, err)
	}
	all, pods := hooks[0], hooks[1]
	want := kube.Webhook{Configuration: "ValidatingWebhookConfiguration policy", Name: "pods", Siblings: 3, Namespace: "guard", Service: "policy", Port: 443, Rules: "CREATE, UPDATE pods"}
	if diff := cmp.Diff(want, pods, cmpopts.IgnoreFields(kube.Webhook{}, "Selects", "Asked", "Pods", "Evictions")); diff != "" {
		t.Error(diff)
	}
	guarded := map[string]string{"guarded": "yes"}
	if !pods.Pods("shop", guarded) || pods.Pods("shop", nil) || pods.Pods("kube-system", guarded) || pods.Evictions("shop") {
		t.Error("it is asked about others than it selects")
	}
	policy := kube.Pod{Namespace: "guard", Labels: map[string]string{"app": "policy"}}
	if !pods.Selects(policy) || pods.Selects(kube.Pod{Namespace: "shop", Labels: policy.Labels}) || all.Selects(policy) {
		t.Error("others answer for it than its service selects")
	}
	if !all.Pods("kube-system", nil) || !all.Evictions("kube-system") || !all.Conditional || all.Rules != "* */* of *" {
		t.Errorf("a webhook for everything: %+v", all)
	}
}

// Which resources of a rule are pods, and which are their evictions.
func TestRulesOfWebhooks(t *testing.T) {
	for _, tt := range []struct {
		rule            string
		pods, evictions bool
	}{
		{`"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]`, true, false},
		{`"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/eviction"]`, false, true},
		{`"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["*"], "resources": ["pods/*"]`, true, true},
		{`"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["v1"], "resources": ["*"]`, true, false},
		{`"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["v1"], "resources": ["*/eviction"]`, false, true},
		{`"operations": ["DELETE", "UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]`, false, false},
		{`"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["*"]`, false, false},
		{`"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Cluster"`, false, false},
		{`"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"`, true, false},
	} {
		s := kubetest.New()
		s.Set(t, admission+"validatingwebhookconfigurations/policy", `{"metadata": {"name": "policy"}, "webhooks": [
			{"name": "pods", "clientConfig": {"service": {"namespace": "guard", "name": "policy"}}, "rules": [{`+tt.rule+`}]}]}`)
		hooks, err := s.Client(t, "r1").Webhooks(t.Context())
		if err != nil || len(hooks) != 1 {
			t.Fatalf("got %+v, %v", hooks, err)
		}
		if hooks[0].Pods("shop", nil) != tt.pods || hooks[0].Evictions("shop") != tt.evictions {
			t.Errorf("%s: pods %v, evictions %v", tt.rule, hooks[0].Pods("shop", nil), hooks[0].Evictions("shop"))
		}
	}
}

// Which writes a rule is about, by operation, group, subresource, scope and selectors.
func TestWritesOfWebhooks(t *testing.T) {
	node := kube.Write{Operation: "UPDATE", Resource: "nodes", Labels: map[string]string{"guarded": "yes"}}
	status := kube.Write{Operation: "UPDATE", Resource: "nodes/status"}
	lease := kube.Write{Operation: "UPDATE", Group: "coordination.k8s.io", Resource: "leases", Namespace: "kube-node-lease"}
	config := kube.Write{Operation: "CREATE", Resource: "configmaps", Namespace: "kube-system", Labels: node.Labels}
	for _, tt := range []struct {
		name, hook string
		want       []kube.Write
	}{
		{"everything", `"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "scope": "*"}]`, []kube.Write{node, status, lease, config}},
		{"one operation", `"rules": [{"operations": ["UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]`, []kube.Write{node, lease}},
		{"one group", `"rules": [{"operations": ["*"], "apiGroups": ["coordination.k8s.io"], "apiVersions": ["v1"], "resources": ["*"]}]`, []kube.Write{lease}},
		{"a version that nobody writes", `"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["v1beta1"], "resources": ["*/*"]}]`, nil},
		{"what is in no namespace", `"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "Cluster"}]`, []kube.Write{node}},
		{"what is in one", `"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "Namespaced"}]`, []kube.Write{lease, config}},
		{"some namespaces, and never what is in none", `"namespaceSelector": {"matchLabels": {"team": "cluster"}},
			"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]`, []kube.Write{node, config}},
		{"some objects", `"objectSelector": {"matchLabels": {"guarded": "yes"}},
			"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]`, []kube.Write{node, config}},
	} {
		s := kubetest.New()
		s.Set(t, "/api/v1/namespaces/kube-system", `{"metadata": {"name": "kube-system", "labels": {"team": "cluster"}}}`)
		s.Set(t, admission+"validatingwebhookconfigurations/policy", `{"metadata": {"name": "policy"}, "webhooks": [
			{"name": "x", "clientConfig": {"service": {"namespace": "guard", "name": "policy"}}, `+tt.hook+`}]}`)
		hooks, err := s.Client(t, "r1").Webhooks(t.Context())
		if err != nil || len(hooks) != 1 {
			t.Fatalf("got %+v, %v", hooks, err)
		}
		var asked []kube.Write
		for _, w := range []kube.Write{node, status, lease, config} {
			if hooks[0].Asked(w) {
				asked = append(asked, w)
			}
		}
		if diff := cmp.Diff(tt.want, asked); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

// Nobody answers for a webhook whose service is gone, has no Ready pod or not the port that the webhook names. Of a service that does not select pods nobody knows.
func TestSilentWebhooks(t *testing.T) {
	const selects = `"selector": {"app": "policy"}`
	pod := func(change func(*kube.Pod)) []kube.PlacedPod {
		p := kube.Pod{Namespace: "guard", Name: "policy-1", Labels: map[string]string{"app": "policy"}, Phase: "Running", Ready: true}
		change(&p)
		return []kube.PlacedPod{{Pod: p}}
	}
	for _, tt := range []struct {
		name, spec string
		pods       []kube.PlacedPod
		want       bool
	}{
		{"a Ready pod", selects, pod(func(*kube.Pod) {}), false},
		{"no pod", selects, nil, true},
		{"a pod that is not Ready", selects, pod(func(p *kube.Pod) { p.Ready = false }), true},
		{"a pod that is terminating", selects, pod(func(p *kube.Pod) { p.Terminating = true }), true},
		{"a pod of another namespace", selects, pod(func(p *kube.Pod) { p.Namespace = "shop" }), true},
		{"a pod that is not Ready and published", selects + `, "publishNotReadyAddresses": true`, pod(func(p *kube.Pod) { p.Ready = false }), false},
		{"a pod that has ended and is published", selects + `, "publishNotReadyAddresses": true`, pod(func(p *kube.Pod) { p.Ready, p.Phase = false, "Failed" }), true},
		{"its port, which is 443 where none is written", selects + `, "ports": [{"port": 80}, {"port": 443}]`, pod(func(*kube.Pod) {}), false},
		{"another port", selects + `, "ports": [{"port": 8443}]`, pod(func(*kube.Pod) {}), true},
		{"another port, and endpoints made by hand", `"ports": [{"port": 8443}]`, nil, true},
		{"endpoints made by hand", ``, nil, false},
		{"another name", selects + `, "type": "ExternalName"`, nil, false},
		{"no service", "none", pod(func(*kube.Pod) {}), true},
	} {
		s := kubetest.New()
		if tt.spec != "none" {
			s.Set(t, "/api/v1/namespaces/guard/services/policy", `{"metadata": {"name": "policy", "namespace": "guard"}, "spec": {`+tt.spec+`}}`)
		}
		s.Set(t, admission+"validatingwebhookconfigurations/policy", `{"webhooks": [{"name": "x", "clientConfig": {"service": {"namespace": "guard", "name": "policy"}}}]}`)
		hooks, err := s.Client(t, "r1").Webhooks(t.Context())
		if err != nil || len(hooks) != 1 || hooks[0].Silent(tt.pods) != tt.want || hooks[0].Missing != (tt.spec == "none") {
			t.Errorf("%s: %+v, %v", tt.name, hooks, err)
		}
	}
}

// A budget may let pods go that are not Ready, whatever its numbers are.
func TestBudgetForUnreadyPods(t *testing.T) {
	for policy, want := range map[string]bool{"AlwaysAllow": true, "IfHealthyBudget": false} {
		s := kubetest.New()
		s.Set(t, "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/cart",
			`{"metadata": {"name": "cart", "namespace": "shop"}, "spec": {"unhealthyPodEvictionPolicy": "`+policy+`"}}`)
		budgets, err := s.Client(t, "r1").Budgets(t.Context(), "")
		if err != nil || len(budgets) != 1 || budgets[0].UnreadyMayGo != want {
			t.Errorf("%s: %+v, %v", policy, budgets, err)
		}
	}
}

// Whatever request of theirs goes wrong once, the lists come back whole.
func TestPlacementSurvivesFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.Set(t, "/api/v1/nodes/w1", plainNode)
		s.SetPod(kube.Pod{Namespace: "shop", Name: "cart-0", Node: "w1"})
		s.Set(t, admission+"mutatingwebhookconfigurations/all", `{"webhooks": [{"name": "all", "clientConfig": {"service": {"namespace": "guard", "name": "gone"}}}]}`)
		c := s.Client(t, "r1")
		for _, fault := range kubetest.Faults() {
			s.Fail(func(n int, _ *http.Request) kubetest.Fault {
				if n%2 == 0 {
					return fault
				}
				return kubetest.None
			})
			rooms, err := c.Rooms(t.Context())
			if err != nil || len(rooms) != 1 {
				t.Errorf("%s: %v, %v", fault, rooms, err)
			}
			workloads, err := c.PlacedPods(t.Context())
			if err != nil || len(workloads) != 1 {
				t.Errorf("%s: %v, %v", fault, workloads, err)
			}
			hooks, err := c.Webhooks(t.Context())
			if err != nil || len(hooks) != 1 {
				t.Errorf("%s: %v, %v", fault, hooks, err)
			}
		}
	})
}
