package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// questions are about what the target removes: who wrote objects of those resources, which volumes use those plugins.
func (v *View) questions() survey.Questions {
	var q survey.Questions
	for _, a := range v.removed() {
		if r := (survey.Resource{Group: a.Group, Plural: a.Resource}); !slices.Contains(q.Resources, r) {
			q.Resources = append(q.Resources, r)
		}
	}
	for _, x := range v.Knowledge.VolumesRemoved(v.span()) {
		q.Plugins = append(q.Plugins, x.Name)
	}
	return q
}

// removedVolumes: no persistent volume needs a volume plugin that the target lacks, unless the CSI driver is there that
// Kubernetes hands it to.
func removedVolumes(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, x := range v.Knowledge.VolumesRemoved(v.span()) {
		volumes := v.Cluster.Volumes[x.Name]
		if len(volumes) == 0 || x.CSIDriver != "" && slices.Contains(v.Cluster.Drivers, x.CSIDriver) {
			continue
		}
		remedy := cmp.Or(x.Note, "make the volumes anew with a CSI driver before the upgrade")
		if x.CSIDriver != "" {
			remedy = "install the CSI driver " + x.CSIDriver + ", which Kubernetes hands these volumes to"
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: x.Name,
			What:     fmt.Sprintf("volumes need the volume plugin %s, which Kubernetes %s does not have any more", x.Name, x.RemovedIn),
			Evidence: "PersistentVolumes " + few(volumes), Remedy: remedy})
	}
	return found
}

func (v *View) removed() []knowledge.API { return v.Knowledge.APIsRemoved(v.span()) }

// requestedAPIs: nobody has asked an API server, since it started, for a version that the target lacks. Each API server
// counts for itself, so each is asked.
func requestedAPIs(v *View) (found []finding.Finding) {
	type use struct{ version, resource string }
	seen := map[use][]string{}
	for _, h := range v.answered() {
		if h.API == nil {
			continue
		}
		for _, r := range h.API.Deprecated {
			u := use{r.Group + "/" + r.Version, r.Resource}
			seen[u] = append(seen[u], fmt.Sprintf("%s (since %s)", h.Name, h.API.Started.UTC().Format(time.DateTime)))
		}
	}
	for _, a := range v.removed() {
		hosts := seen[use{a.APIVersion(), a.Resource}]
		if len(hosts) == 0 {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: a.APIVersion() + " " + a.Resource,
			What:     fmt.Sprintf("somebody uses this API version, which Kubernetes %s does not serve any more", a.RemovedIn),
			Evidence: "apiserver_requested_deprecated_apis of " + strings.Join(hosts, ", "),
			Remedy:   "find the client in the audit log (annotation k8s.io/deprecated) and move it to " + cmp.Or(a.Replacement, "another API") + "; the count ends when the API server restarts"})
	}
	return found
}

// storedAPIs: no object was last written in a version that the target lacks. Whoever wrote it will fail at the next time;
// the object itself stays.
func storedAPIs(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, a := range v.removed() {
		writers := map[string][]string{}
		for _, t := range v.Cluster.Tracks[survey.Resource{Group: a.Group, Plural: a.Resource}] {
			if t.APIVersion == a.APIVersion() && !ofKubernetes(t) {
				if who := writer(t); !slices.Contains(writers[who], t.Object) {
					writers[who] = append(writers[who], t.Object)
				}
			}
		}
		for _, who := range slices.Sorted(maps.Keys(writers)) {
			objects := writers[who]
			found = append(found, finding.Finding{Severity: finding.Warning, Where: a.APIVersion() + " " + a.Resource,
				What:     fmt.Sprintf("%s has written objects in this API version, which Kubernetes %s does not serve any more", who, a.RemovedIn),
				Evidence: "managedFields or last-applied-configuration of " + few(objects),
				Remedy:   "move the manifests of " + who + " to " + cmp.Or(a.Replacement, "another API") + " and apply them once before the upgrade"})
		}
	}
	return found
}

// writer names who wrote. kubectl apply leaves two tracks: among the managed fields, and in its own annotation.
func writer(t kube.Track) string {
	if t.Manager == "" || t.Manager == "kubectl-client-side-apply" {
		return "kubectl apply"
	}
	return t.Manager
}

// ofKubernetes tells what Kubernetes' own components wrote: they move with the upgrade.
func ofKubernetes(t kube.Track) bool {
	for _, own := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubeadm", "api-priority-and-fairness-config-", "cluster-bootstrap"} {
		if strings.HasPrefix(t.Manager, own) {
			return true
		}
	}
	return false
}

// freshServers says where requestedAPIs has seen too little: an API server that has just started has counted nothing yet.
func freshServers(v *View) (found []finding.Finding) {
	const enough = 24 * time.Hour // a daily job has come by
	if len(v.removed()) == 0 {
		return nil
	}
	for _, h := range v.answered() {
		if h.API != nil && !h.API.Started.IsZero() && v.Now.Sub(h.API.Started) < enough {
			found = append(found, finding.Finding{Severity: finding.Note, Where: h.Name,
				What:   "its API server runs for less than a day, so it may not have seen every client that uses removed API versions",
				Remedy: "nothing, if you know your clients; otherwise look again tomorrow"})
		}
	}
	return found
}
