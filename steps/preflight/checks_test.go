package preflight

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/survey"
)

// Each trouble is found by its own check, in its own place, with a remedy, and nothing else is.
func TestEachTroubleIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		plant    func(t *testing.T, v *View)
		check    string
		severity finding.Severity
		where    string
		what     string // part of it
		remedy   string // part of it
		also     string // checks that may find something too
	}{
		"unreachable": {func(_ *testing.T, v *View) {
			v.Hosts[1] = &survey.Host{Name: "w1", Err: errors.New("dial tcp: refused")}
		}, "host.reach", finding.Blocker, "w1", "cannot be asked", "ssh w1", ""},
		"sudo refuses": {func(_ *testing.T, v *View) {
			v.Hosts[1] = &survey.Host{Name: "w1", Err: errors.New("w1: sudo refused: a password is required")}
		}, "host.sudo", finding.Blocker, "w1", "as root", "ssh.sudo", ""},
		"another machine": {func(_ *testing.T, v *View) {
			v.Hosts[1] = &survey.Host{Name: "w1", Err: fmt.Errorf("looking at w1: %w", &remote.StrangerError{Why: "host w1 is the machine of node w2", Remedy: "correct its address"})}
		}, "host.identity", finding.Blocker, "w1", "machine of node w2", "correct its address", ""},
		"not root": {onW1("user 0", "user 1000"), "host.root", finding.Blocker, "w1", "do not run as root", "ssh.sudo", ""},
		"a clock": {func(t *testing.T, v *View) {
			v.Hosts = append(v.Hosts, host(t, "w1"), host(t, "w1"))
			v.Hosts[1].Clock = 90 * time.Second
		}, "host.clock", finding.Warning, "w1", "from that of the other hosts", "timedatectl", ""},
		"a full disk":                {onCP1("43847440      55% /\n", "400000      99% /\n"), "host.disk", finding.Blocker, "cp1", "390 MiB free", "make room", ""},
		"a disk too small for etcd":  {onCP1("etcd-db 2670592", "etcd-db 26705920000"), "host.disk", finding.Blocker, "cp1", "GiB needed", "make room", ""},
		"no inodes":                  {onW1("unattended \n", "unattended \ninodes /etc/kubernetes overlay 16777216 16777204 12 100% /\n"), "host.inodes", finding.Blocker, "w1", "out of inodes: 12 of", "du --inodes", ""},
		"a kubelet of no version":    {func(_ *testing.T, v *View) { v.Cluster.Census.Nodes[1].KubeletVersion = "dev" }, "version.skew", finding.Blocker, "kubelet on w1", `it is "dev", which is no version`, "kubectl get nodes", ""},
		"swap":                       {onW1("unattended \n", "unattended \nswap /swapfile file 2097148 0 -2\n"), "host.swap", finding.Blocker, "w1", "swap is on", "swapoff", ""},
		"an upgrade that was cut":    {onW1("unattended \n", "unattended \nleftover 1795319000 12 /etc/kubernetes/tmp/kubeadm-upgraded-manifests42\n"), "host.leftovers", finding.Warning, "w1", "failed or was cut", "remove the directory", ""},
		"backups that fill the disk": {onW1("unattended \n", "unattended \nleftover 1795319000 2000000 /etc/kubernetes/tmp/kubeadm-backup-etcd-1\n"), "host.leftovers", finding.Warning, "w1", "1.9 GiB", "remove the old ones", ""},
		"unattended upgrades":        {onW1("unattended \n", "unattended 1\n", "unit unattended-upgrades NRestarts=0 LoadState=not-found ActiveState=inactive", "unit unattended-upgrades NRestarts=0 LoadState=loaded ActiveState=active"), "host.unattended", finding.Warning, "w1", "by itself", "systemctl stop unattended-upgrades", ""},
		"a kubelet that is down":     {onW1("unit kubelet NRestarts=0 LoadState=loaded ActiveState=active SubState=running", "unit kubelet NRestarts=37 LoadState=loaded ActiveState=activating SubState=auto-restart"), "host.kubelet", finding.Blocker, "w1", "does not run", "upgrader doctor w1", ""},
		"a runtime that is silent":   {onW1("answers\n", "silent connection refused\n"), "host.runtime", finding.Blocker, "w1", "does not answer", "containerd", ""},
		"a copy of a manifest":       {onCP1("== file /etc/containerd/config.toml", "== file /etc/kubernetes/manifests/etcd.yaml.bak"), "host.manifests", finding.Blocker, "cp1", "etcd.yaml.bak", "move it out", ""},
		"no image":                   {onW1("kube-proxy:v1.28.15 200@", "kube-proxy:v1.28.15 404@"), "host.images", finding.Blocker, "w1", "kube-proxy:v1.28.15", "crictl pull", ""},
		"a certificate that ended":   {certificate("/etc/kubernetes/pki/apiserver.crt", -time.Hour), "host.certificates", finding.Blocker, "cp1", "apiserver.crt has ended", "kubeadm certs renew apiserver`", ""},
		"a certificate that ends":    {certificate("/etc/kubernetes/admin.conf", 9*24*time.Hour), "host.certificates", finding.Warning, "cp1", "ends in 9 days", "kubeadm certs renew admin.conf", ""},
		"an authority that ends":     {certificate("/etc/kubernetes/pki/etcd/ca.crt", 9*24*time.Hour), "host.certificates", finding.Warning, "cp1", "etcd/ca.crt", "manual rotation", ""},
		"a kubelet's certificate":    {certificate("/var/lib/kubelet/pki/kubelet-client-current.pem", -time.Hour), "host.certificates", finding.Blocker, "cp1", "has ended", "kubeadm kubeconfig user", ""},
		"a certificate of tomorrow": {func(t *testing.T, v *View) {
			certificate("/etc/kubernetes/pki/apiserver.crt", 100*24*time.Hour)(t, v)
			v.Hosts[0].Certificates[0].X509.NotBefore = now.Add(time.Hour)
		}, "host.certificates", finding.Blocker, "cp1", "not valid yet", "clock", ""},
		"a certificate that is none": {func(_ *testing.T, v *View) {
			v.Hosts[0].Certificates[0].Err = errors.New("there is no certificate in it")
		}, "host.certificates", finding.Blocker, "cp1", "cannot be read", "kubeadm certs renew", ""},
		"containerd too old": {func(t *testing.T, v *View) { v.Cluster.Census.Nodes[1].Runtime = "containerd://1.5.9" }, "floor.runtime", finding.Blocker, "w1", "1.5.9 is too old", "upgrade containerd", ""},
		"a program that hangs": {func(_ *testing.T, v *View) {
			v.Hosts[1].Hung, v.Hosts[1].Disks = []string{"df -Pk / has not answered for 8s"}, nil
		}, "host.hangs", finding.Blocker, "w1", "does not answer", "mount", ""},
		"a systemd that hangs": {func(_ *testing.T, v *View) {
			v.Hosts[1].Hung, v.Hosts[1].Units = []string{"systemctl show kubelet.service has not answered for 8s"}, map[string]survey.Unit{}
		}, "host.hangs", finding.Blocker, "w1", "does not answer", "service", ""},
		"version 1 of control groups": {towards("1.35.8", "1.34.10"), "floor.cgroup", finding.Blocker, "cp1", "version 1", "failCgroupV1", "floor.cgroup version.skew packages.offered floor.kernel floor.runtime"},
		"a revision that is nowhere":  {func(_ *testing.T, v *View) { v.Goal.Hosts[1].Revisions = map[string]string{"kubelet": "1.28.99-1.1"} }, "packages.offered", finding.Blocker, "w1", "kubelet 1.28.99-1.1", "correct the revision", ""},
		"a repository out of reach":   {onW1("remote kubeadm 1.28.15-1.1\nremote kubelet 1.28.15-1.1\nremote kubectl 1.28.15-1.1\n", "unreachable https://pkgs.k8s.io/core:/stable:/v1.28/deb curl: (7) refused\n"), "packages.offered", finding.Blocker, "w1", "cannot be asked for kubeadm", "make it reachable", ""},
		"dpkg interrupted":            {func(_ *testing.T, v *View) { v.Packages["w1"].Broken = []string{"nginx (iF)"} }, "packages.dpkg", finding.Warning, "w1", "in configuring", "dpkg --configure -a", ""},
		"dpkg interrupted worse":      {func(_ *testing.T, v *View) { v.Packages["w1"].Stuck = []string{"kubelet"} }, "packages.dpkg", finding.Blocker, "w1", "in unpacking", "--reinstall kubelet", ""},
		"updates of dpkg unmerged":    {func(_ *testing.T, v *View) { v.Packages["w1"].Journal = true }, "packages.dpkg", finding.Warning, "w1", "unmerged", "dpkg --configure -a", ""},
		"an orphan of dpkg":           {func(_ *testing.T, v *View) { v.Packages["w1"].Orphan = "pid 7: sh" }, "packages.dpkg", finding.Blocker, "w1", "whose dpkg is gone", "dpkg --configure -a", ""},
		"a lock":                      {func(_ *testing.T, v *View) { v.Packages["w1"].Lock = "apt-get (pid 7)" }, "packages.lock", finding.Warning, "w1", "uses apt or dpkg now", "let it end", ""},
		"apt refuses":                 {offers("== simulation\nfails\n|E: Unable to correct problems, you have held broken packages.\n"), "packages.installable", finding.Blocker, "w1", "apt cannot install", "apt-get -s install kubeadm=1.28.15-1.1", ""},
		"a held dependency":           {offers("== apt\nheld kubelet kubernetes-cni\n== simulation\n|Inst kubernetes-cni [1.1.1-00] (1.2.0-2.1 stable [amd64])\n"), "packages.held", finding.Blocker, "w1", "kubernetes-cni is held", "apt-mark unhold kubernetes-cni", ""},
		"a key that expired": {func(t *testing.T, v *View) {
			onW1("GOODSIG", "EXPKEYSIG")(t, v)
			v.Goal.Hosts[1].Repository = false
			v.Packages["w1"].Installed = v.Goal.Hosts[1].Revisions
		}, "packages.signature", finding.Blocker, "w1", "expired", "Release.key", ""},
		"a node that is not Ready":   {func(_ *testing.T, v *View) { v.Cluster.Census.Nodes[1].Ready = false }, "node.ready", finding.Blocker, "w1", "not Ready", "upgrader doctor w1", ""},
		"a node without room":        {func(_ *testing.T, v *View) { v.Cluster.Census.Nodes[1].Pressure = "DiskPressure (x)" }, "node.ready", finding.Blocker, "w1", "DiskPressure", "make room", ""},
		"a network that crash-loops": {daemonIll(true), "node.daemons", finding.Warning, "w1", "pod of DaemonSet cni is not well: CrashLoopBackOff (container main)", "kubectl -n kube-system get pods -o wide", ""},
		"one on a node that is down": {daemonIll(false), "node.ready", finding.Blocker, "w1", "not Ready", "upgrader doctor w1", ""},
		"a static pod that fails": {func(_ *testing.T, v *View) {
			p := v.Cluster.Census.Static["cp1"]["kube-scheduler"]
			p.Ready = false
			v.Cluster.Census.Static["cp1"]["kube-scheduler"] = p
		}, "control-plane.pods", finding.Blocker, "cp1", "kube-scheduler does not run", "doctor cp1", ""},
		"a static pod that is gone": {func(_ *testing.T, v *View) { delete(v.Cluster.Census.Static["cp1"], "etcd") }, "control-plane.pods", finding.Blocker, "cp1", "etcd does not run", "doctor cp1", ""},
		"an API server that is not": {onCP1("== api 10.0.0.11:6443\nready\n", "== api 10.0.0.11:6443\nsilent connection refused\n"), "control-plane.api", finding.Blocker, "cp1", "not ready", "doctor cp1", ""},
		"a balancer that fails": {func(_ *testing.T, v *View) {
			v.Cluster.Balancer = survey.Balancer{Tries: 3, Reached: map[string]int{"10.0.0.11:6443": 2}, Faults: []string{"EOF"}}
		}, "control-plane.balancer", finding.Blocker, "https://10.0.0.10:6443", "1 of 3 new connections", "load balancer", ""},
		"a balancer that leaves out": {func(_ *testing.T, v *View) {
			v.Cluster.Balancer = survey.Balancer{Tries: 36, Reached: map[string]int{"10.0.0.12:6443": 9, "10.0.0.13:6443": 9}}
		}, "control-plane.balancer", finding.Warning, "https://10.0.0.10:6443", "never leads to the API server of cp1", "10.0.0.11:6443", ""},
		"a token that ends": {func(_ *testing.T, v *View) {
			v.Credentials = kube.Credentials{What: "the token of the kubeconfig", Ends: now.Add(40 * time.Minute), Advice: "get a new one"}
		}, "api.credentials", finding.Warning, "cluster", "the token of the kubeconfig ends in 40 minutes", "get a new one", ""},
		"a certificate that ended by this clock": {func(_ *testing.T, v *View) {
			v.Credentials = kube.Credentials{What: "the certificate of the kubeconfig", Ends: now.Add(-time.Minute), Advice: "see admin.conf"}
		}, "api.credentials", finding.Warning, "cluster", "has ended by the clock", "admin.conf", ""},
		"nobody leads":                 {func(_ *testing.T, v *View) { delete(v.Cluster.Leaders, "kube-scheduler") }, "control-plane.leader", finding.Blocker, "cluster", "nobody leads kube-scheduler", "doctor", ""},
		"a leader that is silent":      {func(_ *testing.T, v *View) { v.Cluster.At = now.Add(time.Minute) }, "control-plane.leader", finding.Blocker, "cluster", "nobody leads kube-controller-manager", "doctor", "control-plane.leader"},
		"a learner":                    {etcdSays(`"name":"cp1"`, `"isLearner":true,"name":"cp1"`), "etcd.quorum", finding.Blocker, "etcd", "is a learner", "promote", ""},
		"an alarm":                     {etcdSays("== alarms\n", "== alarms\n|memberID:1 alarm:NOSPACE\n"), "etcd.quorum", finding.Blocker, "etcd", "NOSPACE", "defragment", ""},
		"an etcd that cannot be asked": {unasked, "etcd.quorum", finding.Blocker, "etcd", "cannot be asked from cp1: no etcdctl", "install it there, or crictl", ""},
		"a member that is away":        {etcdSays(`"health":true`, `"health":false,"error":"refused"`), "etcd.quorum", finding.Blocker, "etcd", "cp1 is unhealthy: refused", "bring the member back", ""},
		"a full database":              {etcdSays(`"dbSize":2670592`, `"dbSize":2100000000`), "etcd.quota", finding.Blocker, "etcd member cp1", "98% of its quota", "defrag", ""},
		"a tight database": {func(t *testing.T, v *View) {
			etcdSays(`"dbSize":2670592`, `"dbSize":4000000000`)(t, v)
			onCP1("|    - --snapshot-count=10000", "|    - --snapshot-count=10000\n|    - --quota-backend-bytes=4800000000")(t, v)
		}, "etcd.quota", finding.Warning, "etcd member cp1", "83% of its quota", "defrag", "config.manifests"},
		"no snapshot": {func(_ *testing.T, v *View) { v.Goal.Saves = false }, "etcd.snapshot", finding.Warning, "etcd", "there is no snapshot", "etcd.snapshot", ""},
		"an aged snapshot": {func(_ *testing.T, v *View) {
			v.Goal.Saves = false
			v.Hosts[0].Snapshots = []survey.Snapshot{{Path: "/b/x.db", Taken: now.Add(-72 * time.Hour)}}
		}, "etcd.snapshot", finding.Warning, "etcd", "3 days old", "etcd.snapshot", ""},
		"etcd that loses members": {towards("1.34.10", "1.33.13"), "version.skew", finding.Blocker, "etcd on cp1", "3.5.7", "etcd", "version.skew packages.offered floor.runtime floor.kernel"},
		"a target too far":        {towards("1.29.15", "1.27.3"), "version.skew", finding.Blocker, "kube-apiserver on cp1", "one minor version at a time", "runbook for the minor before", "packages.offered version.skew"},
		"kubectl too old":         {onW1("kubectl v1.27.3", "kubectl v1.25.3"), "version.skew", finding.Warning, "kubectl on w1", "1.25.3", "kubectl", ""},
		"a removed API in use": {func(t *testing.T, v *View) {
			towards("1.29.15", "1.28.15")(t, v)
			v.Hosts[0].API.Deprecated = []survey.Requested{{Group: "flowcontrol.apiserver.k8s.io", Version: "v1beta2", Resource: "flowschemas", RemovedIn: "1.29"}}
		}, "api.requested", finding.Blocker, "flowcontrol.apiserver.k8s.io/v1beta2 flowschemas", "1.29", "audit log", "version.skew packages.offered"},
		"a removed API written": {func(t *testing.T, v *View) { towards("1.29.15", "1.28.15")(t, v); v.Cluster.Tracks = writtenBy("helm") }, "api.stored", finding.Warning, "flowcontrol.apiserver.k8s.io/v1beta2 flowschemas", "helm has written", "apply them once", "version.skew packages.offered"},
		"a removed flag": {func(t *testing.T, v *View) {
			towards("1.31.14", "1.30.14")(t, v)
			onW1("--node-ip=", "--iptables-drop-bit=15 --node-ip=")(t, v)
		}, "config.flags", finding.Blocker, "w1", "--iptables-drop-bit: removed", "kubeadm-flags.env", "version.skew packages.offered"},
		"a removed volume plugin":    {func(_ *testing.T, v *View) { v.Cluster.Volumes = map[string][]string{"gcePersistentDisk": {"data-0"}} }, "api.volumes", finding.Blocker, "gcePersistentDisk", "1.28 does not have", "pd.csi.storage.gke.io", ""},
		"a removed flag of the roll": {func(_ *testing.T, v *View) { configure(v, "scheduler:\n  extraArgs:\n    lock-object-name: x\n") }, "config.flags", finding.Blocker, "ConfigMap kubeadm-config", "--lock-object-name", "leader-elect-resource-name", ""},
		"the same in v1beta4": {func(_ *testing.T, v *View) {
			configure(v, "scheduler:\n  extraArgs:\n  - name: lock-object-name\n    value: x\n")
		}, "config.flags", finding.Blocker, "ConfigMap kubeadm-config", "--lock-object-name", "leader-elect-resource-name", ""},
		"a removed admission plugin": {func(t *testing.T, v *View) {
			towards("1.30.14", "1.29.15")(t, v)
			configure(v, "apiServer:\n  extraArgs:\n    enable-admission-plugins: NodeRestriction,SecurityContextDeny\n")
		}, "config.flags", finding.Blocker, "ConfigMap kubeadm-config", "SecurityContextDeny is removed", "extraArgs", "version.skew packages.offered"},
		"a removed gate": {func(_ *testing.T, v *View) {
			v.Cluster.Configs["kubelet-config"] = map[string]string{"kubelet": v.Cluster.Configs["kubelet-config"]["kubelet"] + "featureGates:\n  PodSecurity: true\n"}
		}, "config.gates", finding.Blocker, "ConfigMap kubelet-config", "PodSecurity=true: it is removed", "kubelet-config", "config.kubelet"},
		"a locked gate in a flag": {onCP1("|    - --authorization-mode=Node,RBAC", "|    - --authorization-mode=Node,RBAC\n|    - --feature-gates=ExpandedDNSConfig=false"), "config.gates", finding.Blocker, "cp1", "locked to true", "kube-apiserver.yaml", ""},
		"an edited manifest":      {onCP1("|[upgrade/diff] FYI", "|--- /etc/kubernetes/manifests/kube-apiserver.yaml\n|-    - --audit-log-path=/var/log/a\n|[upgrade/diff] FYI"), "config.manifests", finding.Blocker, "cp1", "undo these edits", "extraArgs", ""},
		"an edited etcd":          {onCP1("|    - --snapshot-count=10000", "|    - --snapshot-count=10000\n|    - --auto-compaction-retention=1h"), "config.manifests", finding.Blocker, "cp1", "etcd's manifest", "extraArgs", ""},
		"an edited manifest, patched": {func(t *testing.T, v *View) {
			v.Goal.Hosts[0].Patches = "/etc/patches"
			onCP1("|[upgrade/diff] FYI", "|-    - --audit-log-path=/var/log/a\n|[upgrade/diff] FYI")(t, v)
		}, "config.manifests", finding.Warning, "cp1", "undo these edits", "/etc/patches", ""},
		"an edited kubelet": {onW1("|cgroupDriver: systemd", "|cgroupDriver: systemd\n|maxPods: 250"), "config.kubelet", finding.Warning, "w1", "undo these edits", "kubelet-config", ""},
		"an edited CoreDNS": {func(_ *testing.T, v *View) {
			v.Cluster.Addons["Deployment coredns"] = []kube.Track{{Manager: "kubectl-edit", Fields: []string{"spec.template.spec.nodeSelector.x", "spec.replicas"}}}
		}, "config.addons", finding.Warning, "Deployment coredns", "kubectl-edit has changed it", "afterwards", ""},
		"a plugin of somebody": {func(_ *testing.T, v *View) {
			v.Cluster.Configs["coredns"]["Corefile"] = ".:53 {\n    k8s_gateway x\n}\n"
		}, "config.corefile", finding.Blocker, "ConfigMap coredns", "k8s_gateway", "edit the Corefile", ""},
		"a PDB of zero": {func(_ *testing.T, v *View) { v.Cluster.Budgets = []kube.Budget{budget("web", 0)} }, "drain.budget", finding.Blocker, "PodDisruptionBudget shop/web", "", "", ""},
		"a bare pod": {func(_ *testing.T, v *View) {
			w := pod("shop", "debug", "w1", "", "x=y")
			w.OwnerKind = ""
			v.Cluster.Pods = append(v.Cluster.Pods, w)
		}, "drain.bare", finding.Blocker, "w1", "without a controller", "force", ""},
		"a drain that takes long": {func(_ *testing.T, v *View) { v.Cluster.Pods[1].Grace = time.Hour }, "drain.slow", finding.Warning, "w1", "1h0m0s", "timeout", "drain.slow"},
		"a webhook that nobody answers for": {hooked(`"webhooks": [{"name": "pods.example.org", `+toGuard+`, "rules": [`+everyPod+`]}]`, guardService, guardPod),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "pods.example.org: nobody answers, and without an answer the API refuses CREATE pods in shop, guard, kube-system", "kubectl edit validatingwebhookconfiguration/guard", ""},
		"a webhook for another port than its service has": {hooked(`"webhooks": [{"name": "pods.example.org", `+toGuard+`, "rules": [`+everyPod+`]}]`, `"spec": {"selector": {"app": "guard"}, "ports": [{"port": 8443}, {"port": 9443}]}`, "Ready"),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "pods.example.org: nobody answers", "have service guard/guard and clientConfig.service.port name one port: `kubectl edit validatingwebhookconfiguration/guard`", ""},
		"a webhook without its service": {hooked(`"webhooks": [{"name": "pods.example.org", ` + toGuard + `, "rules": [` + everyPod + `]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "pods.example.org", "kubectl delete validatingwebhookconfiguration/guard", ""},
		"a webhook without its service, beside others": {hooked(`"webhooks": [{"name": "pods.example.org", ` + toGuard + `, "rules": [` + everyPod + `]}, {"name": "x", "clientConfig": {"url": "https://x.example.org"}}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "pods.example.org", "out of their configuration: `kubectl edit validatingwebhookconfiguration/guard`", ""},
		"several webhooks without their service": {hooked(`"webhooks": [{"name": "a.example.org", ` + toGuard + `, "rules": [` + everyPod + `]}, {"name": "b.example.org", ` + toGuard + `}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "a.example.org; b.example.org: nobody", "guard", ""},
		"a silent webhook for what kubeadm writes": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "rules": [{"operations": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "apiVersions": ["*"], "resources": ["*"], "scope": "Cluster"}]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "CREATE clusterroles.rbac.authorization.k8s.io; UPDATE clusterroles", "guard", ""},
		"a silent webhook for nodes": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "namespaceSelector": {"matchLabels": {"none": "here"}}, "rules": [{"operations": ["UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["nodes"]}]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "refuses UPDATE nodes", "guard", ""},
		"a silent webhook for new nodes, as which kubelets begin": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["nodes"]}]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "refuses CREATE nodes", "guard", ""},
		"a silent webhook for what the scheduler writes": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "namespaceSelector": {"matchLabels": {"team": "sales"}}, "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/binding"]}]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "refuses CREATE pods/binding in shop", "guard", ""},
		"a silent webhook for leases": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "rules": [{"operations": ["*"], "apiGroups": ["coordination.k8s.io"], "apiVersions": ["v1"], "resources": ["leases"]}]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "UPDATE leases.coordination.k8s.io in kube-system, kube-node-lease", "guard", ""},
		"a silent webhook for the end of pods": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "namespaceSelector": {"matchLabels": {"team": "sales"}}, "rules": [{"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]}]`),
			"api.webhook", finding.Blocker, "ValidatingWebhookConfiguration guard", "refuses DELETE pods in shop", "guard", ""},
		"a silent webhook with conditions": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "matchConditions": [{"name": "x", "expression": "false"}], "rules": [` + everyPod + `]}]`),
			"api.webhook", finding.Warning, "ValidatingWebhookConfiguration guard", "CREATE pods in shop, kube-system, unless match conditions say otherwise", "guard", ""},
		"a silent webhook for other namespaces": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "namespaceSelector": {"matchLabels": {"none": "here"}}, "rules": [` + everyPod + `]}]`),
			"api.webhook", finding.Warning, "ValidatingWebhookConfiguration guard", "some writes, though none of the upgrade's", "guard", ""},
		"a silent webhook for other objects": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "objectSelector": {"matchLabels": {"none": "here"}}, "rules": [` + everyPod + `]}]`),
			"api.webhook", finding.Warning, "ValidatingWebhookConfiguration guard", "none of the upgrade's", "guard", ""},
		"a silent webhook for secrets, which nobody writes": {hooked(`"webhooks": [{"name": "x", ` + toGuard + `, "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]}]}]`),
			"api.webhook", finding.Warning, "ValidatingWebhookConfiguration guard", "none of the upgrade's", "guard", ""},
		"a part of the API that is gone": {func(_ *testing.T, v *View) {
			v.Cluster.Unavailable = []kube.APIService{{Name: "v1beta1.metrics.k8s.io", Service: "kube-system/metrics-server", Why: "MissingEndpoints: none", Since: now}}
		}, "api.unavailable", finding.Warning, "APIService v1beta1.metrics.k8s.io", "no server answers for it", "kubectl delete apiservice v1beta1.metrics.k8s.io", ""},
		"a control plane without its label": {func(_ *testing.T, v *View) { v.Cluster.Census.Nodes[0].ControlPlane = false }, "node.role", finding.Blocker, "cp1", "it runs a control plane, but its node has not the label", "`kubectl label node cp1 node-role.kubernetes.io/control-plane=`", ""},
		"the same, of an inventory of nodes": {func(_ *testing.T, v *View) {
			v.Cluster.Census.Nodes[0].ControlPlane, v.Goal.Hosts[0].ControlPlane = false, false
		}, "node.role", finding.Blocker, "cp1", "it runs a control plane, but its node has not the label", "`kubectl label node cp1 node-role.kubernetes.io/control-plane=`", ""},
		"the same, known by its manifests alone": {func(_ *testing.T, v *View) {
			v.Cluster.Census.Nodes[0].ControlPlane = false
			delete(v.Cluster.Census.Static, "cp1")
		}, "node.role", finding.Blocker, "cp1", "it runs a control plane", "kubectl label node cp1", "control-plane.pods version.skew"},
		"a worker with the label of a control plane": {func(_ *testing.T, v *View) { v.Cluster.Census.Nodes[1].ControlPlane = true }, "node.role", finding.Blocker, "w1", "but it runs none", "`kubectl label node w1 node-role.kubernetes.io/control-plane-`", ""},
		"a worker in the group control-plane":        {func(_ *testing.T, v *View) { v.Goal.Hosts[1].ControlPlane = true }, "node.role", finding.Blocker, "w1", "the inventory has it in the group control-plane", "another group of the inventory", ""},
		"a control plane in another group": {func(_ *testing.T, v *View) {
			v.Goal.Hosts[0].ControlPlane, v.Goal.Hosts[1].ControlPlane = false, true
		}, "node.role", finding.Blocker, "cp1", "the inventory has it not in the group control-plane", "to the group control-plane", "node.role"},
		"a volume that cannot leave":      {attached(kube.Attachment{Name: "csi-a", Attached: true, Deleting: true, Error: "in use"}, "w1", time.Hour), "drain.attachment", finding.Warning, "w1", "1 volume of csi.x: still attached to this node, long after", "kubectl describe volumeattachment csi-a", ""},
		"a volume that does not come":     {attached(kube.Attachment{Name: "csi-a", Error: "no such disk"}, "w1", time.Hour), "drain.attachment", finding.Warning, "w1", "1 volume of csi.x: not attached to this node", "kubectl describe volumeattachment csi-a", ""},
		"a volume of a node that is gone": {attached(kube.Attachment{Name: "csi-a", Attached: true}, "w9", time.Hour), "drain.attachment", finding.Warning, "w9", "which the cluster does not have any more", "kubectl delete volumeattachment csi-a", ""},
		"a pod that a finalizer keeps":    {ending(func(p *kube.Pod) { p.Finalizers = []string{"example.org/x"} }), "drain.terminating", finding.Warning, "w1", "1 pod is still there long past the grace period, for finalizers", "kubectl -n shop get pod old -o yaml", ""},
		"a pod that its kubelet keeps":    {ending(func(*kube.Pod) {}), "drain.terminating", finding.Warning, "w1", "though the node is Ready", "journalctl -u kubelet", ""},
		"a pod of a node that is not Ready": {func(t *testing.T, v *View) {
			ending(func(*kube.Pod) {})(t, v)
			v.Cluster.Census.Nodes[1].Ready = false
		}, "drain.terminating", finding.Warning, "w1", "the node is not Ready", "upgrader doctor w1", "node.ready"},
		"a pod of a node that is gone":                          {ending(func(p *kube.Pod) { p.Node = "w9" }), "drain.terminating", finding.Warning, "w9", "does not have any more", "kubectl -n shop delete pod old --force --grace-period=0", ""},
		"a pod of a node that is gone, which a finalizer keeps": {ending(func(p *kube.Pod) { p.Node, p.Finalizers = "w9", []string{"example.org/x"} }), "drain.terminating", finding.Warning, "w9", "for finalizers", "kubectl -n shop get pod old -o yaml", ""},
		"no node of that name":                                  {func(_ *testing.T, v *View) { v.Goal.Drains[1].Nodes = []string{"w1.example.org"} }, "drain.unknown", finding.Blocker, "w1.example.org", "no node of this name", "call the host", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := healthy(t)
			tt.plant(t, v)
			v.foretell()
			found := slices.DeleteFunc(Judge(v), func(f finding.Finding) bool { return f.Severity == finding.Note })
			i := slices.IndexFunc(found, func(f finding.Finding) bool {
				return f.Check == tt.check && f.Severity == tt.severity && f.Where == tt.where && strings.Contains(f.What, tt.what) && strings.Contains(f.Remedy, tt.remedy)
			})
			if i < 0 {
				t.Fatalf("not found; found was %+v", found)
			}
			for j, f := range found {
				if j != i && !slices.Contains(strings.Fields(tt.also), f.Check) {
					t.Errorf("found besides: %+v", f)
				}
			}
		})
	}
}

// onCP1 and onW1 let a host say something else.
func onCP1(replace ...string) func(*testing.T, *View) {
	return func(t *testing.T, v *View) { v.Hosts[0] = host(t, "cp1", replace...) }
}

func onW1(replace ...string) func(*testing.T, *View) {
	return func(t *testing.T, v *View) { v.Hosts[1] = host(t, "w1", replace...) }
}

// daemonIll is a pod of a DaemonSet on w1 that is ill, beside one that is well.
func daemonIll(ready bool) func(*testing.T, *View) {
	return func(_ *testing.T, v *View) {
		well := pod("kube-system", "cni-a1", "cp1", "cni", "k8s-app=cni")
		well.OwnerKind = "DaemonSet"
		ill := pod("kube-system", "cni-x7", "w1", "cni", "k8s-app=cni")
		ill.OwnerKind, ill.Ready = "DaemonSet", false
		ill.Ails = &kube.Complaint{Pod: ill.Pod, Container: "main", Why: "CrashLoopBackOff", Says: "back-off 5m0s"}
		v.Cluster.Pods = append(v.Cluster.Pods, well, ill)
		v.Cluster.Census.Nodes[1].Ready = ready
	}
}

// unasked is a control plane without a program that asks etcd.
func unasked(t *testing.T, v *View) {
	var err error
	if v.Etcd, err = etcd.Read("cp1", map[string]inquiry.Answer{etcd.Question().Name: {Code: 3, Complaints: []string{"no etcdctl here"}}}); err != nil {
		t.Fatal(err)
	}
}

func etcdSays(was, is string) func(*testing.T, *View) {
	return func(t *testing.T, v *View) { v.Etcd = askEtcd(t, strings.Replace(etcdWell, was, is, 1)) }
}

// towards is another way: everything runs one version, and the plan goes to another.
func towards(to, from string) func(*testing.T, *View) {
	return func(t *testing.T, v *View) {
		v.Running, v.Goal.To = parse(t, from), parse(t, to)
		for host := range v.Cluster.Census.Static {
			for component, p := range v.Cluster.Census.Static[host] {
				if component != "etcd" {
					p.Images = []string{"registry.k8s.io/" + component + ":v" + from}
					v.Cluster.Census.Static[host][component] = p
				}
			}
		}
		for i := range v.Cluster.Census.Nodes {
			v.Cluster.Census.Nodes[i].KubeletVersion = from
		}
	}
}

func configure(v *View, text string) {
	v.Cluster.Configs["kubeadm-config"] = map[string]string{"ClusterConfiguration": text}
}

// offers lets w1 have what the plan wants in its lists, and say something else about packages.
func offers(said string) func(*testing.T, *View) {
	return func(t *testing.T, v *View) {
		v.Hosts[1] = host(t, "w1")
		v.Hosts[1].Apt = survey.Read("w1", inquiry.Read("== apt\n"+said, ""), now, now).Apt
		v.Packages["w1"].Offered = map[string][]string{"kubeadm": {"1.28.15-1.1"}, "kubectl": {"1.28.15-1.1"}, "kubelet": {"1.28.15-1.1"}}
	}
}

// certificate makes one that ends after so long the first of cp1.
func certificate(path string, left time.Duration) func(*testing.T, *View) {
	return func(t *testing.T, v *View) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kube-apiserver"}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(left)}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))), "\n", "\n|")
		made := survey.Read("cp1", inquiry.Read("== certificate "+path+"\n|"+text+"\n", ""), now, now)
		v.Hosts[0].Certificates = slices.Insert(v.Hosts[0].Certificates, 0, made.Certificates[0])
	}
}

func writtenBy(manager string) map[survey.Resource][]kube.Track {
	return map[survey.Resource][]kube.Track{{Group: "flowcontrol.apiserver.k8s.io", Plural: "flowschemas"}: {
		{Object: "mine", Manager: manager, APIVersion: "flowcontrol.apiserver.k8s.io/v1beta2"},
		{Object: "exempt", Manager: "api-priority-and-fairness-config-producer-v1", APIVersion: "flowcontrol.apiserver.k8s.io/v1beta2"},
		{Object: "fine", Manager: "helm", APIVersion: "flowcontrol.apiserver.k8s.io/v1"},
	}}
}

func budget(app string, allowed int32) kube.Budget {
	return kube.Budget{Namespace: "shop", Name: app, Allowed: allowed, Healthy: 2, Desired: 2, Expected: 2,
		Selects: func(labels map[string]string) bool { return labels["app"] == app }}
}
