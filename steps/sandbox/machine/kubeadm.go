package machine

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The times of kubeadm at Speed 1. The real one takes minutes; the shares are those that were measured.
const (
	preflightTime  = 60 * time.Millisecond
	componentTime  = 60 * time.Millisecond // for each static pod, beside what its restart takes
	uploadTime     = 60 * time.Millisecond
	workerTime     = 50 * time.Millisecond
	podTime        = 5 * time.Minute // how long kubeadm waits for a static pod (UpgradeManifestTimeout in constants.go)
	pollTime       = 5 * time.Millisecond
	maxUpgradeSkew = 1 // minor versions at a time (policy.go: MaximumAllowedMinorVersionUpgradeSkew)
)

// A kubeadmCall is one run of kubeadm.
type kubeadmCall struct {
	*call
	self  release // of the binary
	flags []flag
}

func kubeadm(c *call) int {
	fl, rest, ok := c.flags("yfho", "yes force dry-run etcd-upgrade certificate-renewal allow-experimental-upgrades allow-release-candidate-upgrades print-config",
		"ovc", "output kubernetes-version ignore-preflight-errors config kubeconfig patches etcd-upgrade certificate-renewal skip-phases image-repository v rootfs api-server-manifest controller-manager-manifest scheduler-manifest context-lines", false)
	if !ok {
		return 1
	}
	self, known := parseRelease(c.m.installed("kubeadm"))
	if !known {
		return c.fail(1, "the pretend kubeadm has no version")
	}
	k := &kubeadmCall{c, self, fl}
	switch verb := strings.Join(rest[:min(2, len(rest))], " "); verb {
	case "version":
		return k.version()
	case "config images":
		return k.images()
	case "upgrade plan":
		return k.plan(rest[2:])
	case "upgrade apply":
		return k.apply(rest[2:])
	case "upgrade node":
		return k.node()
	case "upgrade diff":
		return k.diff(rest[2:])
	default:
		return c.unknown("kubeadm " + strings.Join(rest, " "))
	}
}

func (k *kubeadmCall) version() int {
	switch value(k.flags, "", "o", "output") {
	case "short":
		k.printf("%s\n", k.self)
	case "json":
		text, err := json.MarshalIndent(map[string]any{"clientVersion": map[string]string{"major": "1", "minor": fmt.Sprint(k.self.minor), "gitVersion": k.self.String()}}, "", "  ")
		if err != nil {
			return 1
		}
		k.printf("%s\n", text)
	default:
		k.printf("kubeadm version: &version.Info{Major:\"1\", Minor:\"%d\", GitVersion:\"%s\"}\n", k.self.minor, k.self)
	}
	return 0
}

func (k *kubeadmCall) images() int {
	v, ok := parseRelease(value(k.flags, k.self.String(), "kubernetes-version"))
	if !ok {
		return k.fatal("couldn't parse Kubernetes version %q", value(k.flags, "", "kubernetes-version"))
	}
	for _, c := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		k.printf("%s/%s:%s\n", registry, c, v)
	}
	dns := fmt.Sprintf("%s/coredns/coredns:%s\n", registry, coreDNSTags[v.minor])
	rest := fmt.Sprintf("%s/pause:%s\n%s/etcd:%s\n", registry, pauseTags[v.minor], registry, etcdTags[v.minor])
	if k.self.minor <= 27 { // seen at 1.27.3: CoreDNS is the last
		k.printf("%s%s", rest, dns)
	} else {
		k.printf("%s%s", dns, rest)
	}
	return 0
}

// fatal ends kubeadm with an error, in the form of its version.
func (k *kubeadmCall) fatal(format string, args ...any) int {
	text := fmt.Sprintf(format, args...)
	if k.self.minor >= 34 { // kadm:util/errors
		k.eprintf("error: %s\n", text)
	} else {
		k.eprintf("%s\nTo see the stack trace of this error execute with --v=5 or higher\n", text)
	}
	return 1
}

// preflightFatal ends kubeadm with failed checks, "[ERROR Name]: why": those of plan and apply of the cluster's health are
// wrapped, which takes the exit status of a preflight error from them.
func (k *kubeadmCall) preflightFatal(faults []string, health bool) int {
	from, status := "error execution phase preflight", 2
	if health {
		from, status = "[upgrade/health] FATAL", 1
	}
	k.fatal("%s: [preflight] Some fatal errors occurred:\n\t%s\n[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`", from, strings.Join(faults, "\n\t"))
	if k.self.minor >= 34 {
		return 1
	}
	return status
}

// preflight checks what kubeadm checks before anything else; 0 means go on.
func (k *kubeadmCall) preflight(api bool) int {
	k.printf("[preflight] Running pre-flight checks.\n")
	ignored := strings.Split(value(k.flags, "", "ignore-preflight-errors"), ",")
	var faults []string
	add := func(name, text string) {
		if slices.Contains(ignored, name) || slices.Contains(ignored, "all") {
			k.eprintf("\t[WARNING %s]: %s\n", name, text)
			return
		}
		faults = append(faults, "[ERROR "+name+"]: "+text)
	}
	if !k.root() {
		add("IsPrivilegedUser", "user is not running as root")
	}
	if len(faults) == 0 && api && !k.anyAPI() {
		return k.fatal("couldn't create a Kubernetes client from file %q: Get \"https://127.0.0.1:6443/version?timeout=10s\": dial tcp 127.0.0.1:6443: connect: connection refused", "/etc/kubernetes/admin.conf")
	}
	if k.m.cfg.ControlPlane {
		var missing []string
		for _, c := range components[1:] {
			if k.m.manifestImage(c) == "" {
				missing = append(missing, path.Join(manifestDir, c+".yaml"))
			}
		}
		if len(missing) > 0 {
			add("StaticPodManifest", fmt.Sprintf("The control plane seems to be Static Pod-hosted, but some of the manifests don't seem to exist on disk. This probably means you're running 'kubeadm upgrade' on a remote machine, which is not supported for a Static Pod-hosted cluster. Manifest files not found: %v", missing))
		}
		for _, host := range k.m.world.ControlPlanes() {
			if _, ready := k.m.world.StaticPod(host, "kube-apiserver"); !ready {
				add("ControlPlaneNodesReady", "there are NotReady control-planes in the cluster: ["+host+"]")
			}
		}
	}
	if len(faults) > 0 {
		return k.preflightFatal(faults, k.root() && slices.Contains(k.args, "upgrade") && !slices.Contains(k.args, "node"))
	}
	return 0
}

func (k *kubeadmCall) anyAPI() bool {
	if k.m.cfg.ControlPlane {
		return k.m.world.APIReady(k.m.cfg.Name)
	}
	return slices.ContainsFunc(k.m.world.ControlPlanes(), k.m.world.APIReady)
}

// policy lists why a version cannot be gone to: what --force does not help against, and what it does (policy.go).
func (k *kubeadmCall) policy(target release) (mandatory, skippable []string) {
	cluster, _ := parseRelease(k.m.world.ClusterVersion())
	if target.minor < k.self.minor-1 {
		mandatory = append(mandatory, fmt.Sprintf("Specified version to upgrade to %q is equal to or lower than the minimum supported version %q. Please specify a higher version to upgrade to", target, release{1, k.self.minor - 1, 0}))
	}
	if target.minor > cluster.minor+maxUpgradeSkew {
		mandatory = append(mandatory, fmt.Sprintf("Specified version to upgrade to %q is too high; kubeadm can upgrade only %d minor version at a time", target, maxUpgradeSkew))
	}
	if target.minor < cluster.minor-maxUpgradeSkew {
		mandatory = append(mandatory, fmt.Sprintf("Specified version to downgrade to %q is too low; kubeadm can downgrade only %d minor version at a time", target, maxUpgradeSkew))
	}
	switch {
	case target.minor > k.self.minor:
		mandatory = append(mandatory, fmt.Sprintf("Specified version to upgrade to %q is at least one minor release higher than the kubeadm minor release (%d > %d). Such an upgrade is not supported", target, target.minor, k.self.minor))
	case k.self.less(target):
		skippable = append(skippable, fmt.Sprintf("Specified version to upgrade to %q is higher than the kubeadm version %q. Upgrade kubeadm first using the tool you used to install kubeadm", target, k.self))
	}
	if k.self.minor > target.minor {
		skippable = append(skippable, fmt.Sprintf("Kubeadm version %s can only be used to upgrade to Kubernetes version %d.%d", k.self, k.self.major, k.self.minor))
	}
	if target.less(cluster) {
		skippable = append(skippable, fmt.Sprintf("Specified version to upgrade to %q is lower than the cluster version %q; the pretend kubeadm takes a downgrade for a mistake", target, cluster))
	}
	if old := k.oldKubelets(target); len(old) > 0 {
		skippable = append(skippable, fmt.Sprintf("There are kubelets in this cluster that are too old that have these versions %v", old))
	}
	return mandatory, skippable
}

// oldKubelets are the versions of kubelets that a control plane of this version would leave behind: more than one minor
// through kubeadm 1.28, more than three from 1.29 on.
func (k *kubeadmCall) oldKubelets(target release) []string {
	allowed := 3
	if k.self.minor <= 28 {
		allowed = 1
	}
	var old []string
	for _, v := range k.m.world.KubeletVersions() {
		if r, ok := parseRelease(v); ok && r.minor < target.minor-allowed {
			old = append(old, r.String())
		}
	}
	slices.Sort(old)
	return slices.Compact(old)
}

// permitted applies the policy; 0 means go on.
func (k *kubeadmCall) permitted(target release) int {
	mandatory, skippable := k.policy(target)
	list := func(faults []string) string {
		text := ""
		for _, f := range faults {
			text += "\t- " + f + "\n"
		}
		return text
	}
	if len(mandatory) > 0 {
		return k.fatal("[upgrade/version] FATAL: the --version argument is invalid due to these fatal errors:\n\n%s\nPlease fix the misalignments highlighted above and try upgrading again", list(mandatory))
	}
	if len(skippable) > 0 && !has(k.flags, "f", "force") {
		return k.fatal("[upgrade/version] FATAL: the --version argument is invalid due to these errors:\n\n%s\nCan be bypassed if you pass the --force flag", list(skippable))
	}
	return 0
}

// target is the version that the command line names.
func (k *kubeadmCall) target(rest []string) (release, int) {
	if len(rest) == 0 {
		return k.self, 0
	}
	v, ok := parseRelease(rest[0])
	if !ok {
		return v, k.fatal("version %q doesn't match patterns for neither semantic version nor labels (stable, latest, ...)", rest[0])
	}
	return v, 0
}

func (k *kubeadmCall) admin() int {
	if _, err := k.m.tree.stat("root", "/etc/kubernetes/admin.conf", true); err != nil {
		return k.fatal("couldn't create a Kubernetes client from file %q: failed to load admin kubeconfig: open %s: no such file or directory", "/etc/kubernetes/admin.conf", "/etc/kubernetes/admin.conf")
	}
	return 0
}

// begin is how plan and apply begin: the version, the cluster's configuration and the preflight checks.
func (k *kubeadmCall) begin(rest []string) (release, int) {
	target, st := k.target(rest)
	if st == 0 {
		st = k.admin()
	}
	if st == 0 {
		k.printf("%s", configRead)
		st = k.preflight(true)
	}
	if st == 0 && !k.sleep(k.m.scaled(preflightTime)) {
		st = 130
	}
	return target, st
}

// plan is kubeadm upgrade plan. It changes nothing, and judges no version: what apply refuses, plan shows like any other.
func (k *kubeadmCall) plan(rest []string) int {
	target, st := k.begin(rest)
	if st != 0 {
		return st
	}
	cluster := k.m.world.ClusterVersion()
	k.printf("[upgrade/versions] Cluster version: v%s\n[upgrade/versions] kubeadm version: %s\n", strings.TrimPrefix(cluster, "v"), k.self)
	k.printf("[upgrade/versions] Target version: %s\n", target)
	if is, _ := parseRelease(cluster); !is.less(target) {
		k.printf("\n")
		return 0
	}
	k.printf("\nUpgrade to the latest version in the v1.%d series:\n\nCOMPONENT                 CURRENT    TARGET\n", minorOf(cluster))
	for _, c := range components[1:] {
		image, _ := k.m.world.StaticPod(k.m.cfg.Name, c)
		k.printf("%-25s %-10s %s\n", c, tagOf(image), target)
	}
	image, _ := k.m.world.StaticPod(k.m.cfg.Name, "etcd")
	k.printf("%-25s %-10s %s\n\nYou can now apply the upgrade by executing the following command:\n\n\tkubeadm upgrade apply %s\n\n", "etcd", tagOf(image), etcdTags[target.minor], target)
	if k.self.less(target) {
		k.printf("Note: Before you can perform this upgrade, you have to update kubeadm to %s.\n\n", target)
	}
	return 0
}

// minorOf is the minor version of the cluster, whose series plan names whatever the target.
func minorOf(version string) int {
	r, _ := parseRelease(version)
	return r.minor
}

// configRead is what kubeadm says when it has read the cluster's configuration.
const configRead = `[upgrade/config] Making sure the configuration is correct:
[upgrade/config] Reading configuration from the cluster...
[upgrade/config] FYI: You can look at this config file with 'kubectl -n kube-system get cm kubeadm-config -o yaml'
`

// apply is kubeadm upgrade apply.
func (k *kubeadmCall) apply(rest []string) int {
	if len(rest) != 1 {
		k.printf("%s", configRead)
		return k.fatal("missing one or more required arguments. Required arguments: [version]")
	}
	target, st := k.begin(rest)
	if st == 0 && target.minor < k.self.minor-1 {
		st = k.fatal("this version of kubeadm only supports deploying clusters with the control plane version >= 1.%d.0. Current version: %s", k.self.minor-1, target)
	}
	if st != 0 {
		return st
	}
	k.printf("[upgrade/version] You have chosen to change the cluster version to %q\n[upgrade/versions] Cluster version: v%s\n[upgrade/versions] kubeadm version: %s\n", target, k.m.world.ClusterVersion(), k.self)
	if st := k.permitted(target); st != 0 {
		return st
	}
	if !has(k.flags, "y", "yes", "f", "force") {
		k.printf("[upgrade] Are you sure you want to proceed? [y/N]: ")
		return k.fatal("won't proceed; the user didn't answer (Y|y) in order to continue")
	}
	if has(k.flags, "dry-run") {
		return k.unknown("kubeadm upgrade apply --dry-run")
	}
	k.printf("[upgrade/prepull] Pulling images required for setting up a Kubernetes cluster\n[upgrade/apply] Upgrading your Static Pod-hosted control plane to version %q (timeout: 5m0s)...\n", target)
	if st := k.staticPods(target); st != 0 {
		return st
	}
	if !k.sleep(k.m.scaled(uploadTime)) {
		return 130
	}
	k.m.world.SetClusterVersion(strings.TrimPrefix(target.String(), "v"))
	k.printf("[upload-config] Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace\n")
	k.kubeletConfig(target)
	if !k.sleep(k.m.scaled(uploadTime)) {
		return 130
	}
	k.m.record(k.p, EffectKubeadm, "upgrade apply %s", target)
	k.printf("\n[upgrade/successful] SUCCESS! Your cluster was upgraded to %q. Enjoy!\n\n[upgrade/kubelet] Now that your control plane is upgraded, please proceed with upgrading your kubelets if you haven't already done so.\n", target)
	return 0
}

// node is kubeadm upgrade node: to the version that is in the cluster's configuration.
func (k *kubeadmCall) node() int {
	k.printf("[upgrade] Reading configuration from the cluster...\n")
	if st := k.preflight(true); st != 0 {
		return st
	}
	target, ok := parseRelease(k.m.world.ClusterVersion())
	if !ok {
		return k.fatal("failed to get config map: configmaps \"kubeadm-config\" not found")
	}
	if target.minor > k.self.minor || target.minor < k.self.minor-1 {
		return k.fatal("this version of kubeadm only supports deploying clusters with the control plane version >= 1.%d.0. Current version: %s", k.self.minor-1, target)
	}
	if k.m.cfg.ControlPlane {
		if !k.sleep(k.m.scaled(preflightTime)) {
			return 130
		}
		k.printf("[upgrade] Upgrading your Static Pod-hosted control plane instance to version %q...\n", target)
		if st := k.staticPods(target); st != 0 {
			return st
		}
	} else {
		k.printf("[preflight] Skipping prepull. Not a control plane node.\n[upgrade] Skipping phase. Not a control plane node.\n")
		if !k.sleep(k.m.scaled(workerTime)) {
			return 130
		}
	}
	k.kubeletConfig(target)
	k.m.record(k.p, EffectKubeadm, "upgrade node %s", target)
	k.printf("[upgrade] The configuration for this node was successfully updated!\n[upgrade] Now you should go ahead and upgrade the kubelet package using your package manager.\n")
	return 0
}

// staticPods upgrades the static pods one after the other.
func (k *kubeadmCall) staticPods(target release) int {
	stamp := time.Now().UTC().Format("2006-01-02-15-04-05")
	for _, c := range components {
		if c == "etcd" && value(k.flags, "true", "etcd-upgrade") == "false" {
			continue
		}
		k.renew(c)
		image := Image(c, target.String())
		if k.m.manifestImage(c) == image {
			k.printf("[upgrade/staticpods] Current and new manifests of %s are equal, skipping upgrade\n", c)
			continue
		}
		k.printf("[upgrade/staticpods] Preparing for %q upgrade\n", c)
		if !k.sleep(k.m.scaled(componentTime)) {
			return 130
		}
		if st := k.staticPod(c, image, stamp); st != 0 {
			return st
		}
	}
	k.renew("")
	return 0
}

// renew renews the certificates of a component, as every upgrade does unless it is told not to.
func (k *kubeadmCall) renew(component string) {
	if value(k.flags, "true", "certificate-renewal") == "false" {
		return
	}
	for _, name := range k.m.renew(component) {
		k.printf("[upgrade/staticpods] Renewing %s certificate\n", name)
	}
}

// staticPod replaces one manifest, keeping the old one, and waits until the kubelet has restarted the pod.
func (k *kubeadmCall) staticPod(c, image, stamp string) int {
	file := path.Join(manifestDir, c+".yaml")
	backup := path.Join("/etc/kubernetes/tmp/kubeadm-backup-manifests-"+stamp, c+".yaml")
	old, err := k.m.tree.read("root", file)
	if err != nil {
		return k.fatal("couldn't read %s: %s", file, reason(err))
	}
	if c == "etcd" {
		k.m.tree.mustDir("/etc/kubernetes/tmp/kubeadm-backup-etcd-" + stamp + "/etcd/member/snap")
	}
	k.m.tree.put(backup, string(old), 0o600)
	was := k.m.manifestImage(c)
	k.m.tree.put(file, k.m.manifest(c, image), 0o600)
	k.m.record(k.p, EffectManifest, "%s %s (was %s)", c, image, was)
	k.printf("[upgrade/staticpods] Moved new manifest to %q and backed up old manifest to %q\n[upgrade/staticpods] Waiting for the kubelet to restart the component\n", file, backup)
	k.m.runManifests()
	deadline := time.Now().Add(k.m.scaled(podTime))
	for {
		if runs, ready := k.m.world.StaticPod(k.m.cfg.Name, c); runs == image && ready {
			break
		}
		if time.Now().After(deadline) {
			k.m.tree.put(file, string(old), 0o600)
			k.m.record(k.p, EffectManifest, "%s %s (rolled back)", c, was)
			k.m.runManifests()
			return k.fatal("couldn't upgrade control plane. kubeadm has tried to recover everything into the earlier state. Errors faced: timed out waiting for the condition")
		}
		if !k.sleep(pollTime) {
			return 130
		}
	}
	k.printf("[apiclient] Found 1 Pods for label selector component=%s\n[upgrade/staticpods] Component %q upgraded successfully!\n", c, c)
	return 0
}

// kubeletConfig writes the kubelet's configuration, keeping the old one, and brings its flags up to date.
func (k *kubeadmCall) kubeletConfig(target release) {
	if old, err := k.m.tree.read("root", kubeletConfigFile); err == nil {
		k.m.tree.put("/etc/kubernetes/tmp/kubeadm-kubelet-config"+newUUID()[:8]+"/config.yaml", string(old), 0o600)
	}
	k.m.tree.put(kubeletConfigFile, KubeletConfig(target.String()), 0o644)
	k.printf("[kubelet-start] Writing kubelet configuration to file %q\n", kubeletConfigFile)
	k.kubeletFlags(target)
}

// kubeletFlags takes out of kubeadm-flags.env what kubeadm has another place for since 1.34, and what kubelets take no more
// since 1.35 (which 1.35 alone does).
func (k *kubeadmCall) kubeletFlags(target release) {
	text, err := k.m.tree.read("root", kubeletFlagsFile)
	if err != nil {
		return
	}
	kept := string(text)
	drop := func(flag string) (was string) {
		if m := regexp.MustCompile(`--` + flag + `=([^ "]*) ?`).FindStringSubmatch(kept); m != nil {
			kept, was = strings.Replace(kept, m[0], "", 1), m[1]
		}
		return was
	}
	if target.minor >= 34 {
		if socket := drop("container-runtime-endpoint"); socket != "" {
			k.m.tree.put(kubeletInstance, fmt.Sprintf("containerRuntimeEndpoint: %q\n", socket), 0o644)
		}
	}
	if target.minor == 35 {
		drop("pod-infra-container-image")
	}
	k.m.tree.put(kubeletFlagsFile, kept, 0o644)
}
