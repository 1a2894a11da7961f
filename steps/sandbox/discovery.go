package sandbox

import (
	"maps"
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// discover answers what clients ask to find out which resources there are; kubectl works with it.
func (w *world) discover(path string, by client) (reply, bool) {
	parts := trimmed(path)
	switch {
	case len(parts) == 1 && parts[0] == "api":
		return encode(http.StatusOK, metav1.APIVersions{
			TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}, ServerAddressByClientCIDRs: w.answering(by),
		}), true
	case len(parts) == 1 && parts[0] == "apis":
		return encode(http.StatusOK, w.groups()), true
	case len(parts) == 2 && parts[0] == "api":
		return w.resources("", parts[1])
	case len(parts) == 3 && parts[0] == "apis":
		return w.resources(parts[1], parts[2])
	}
	return reply{}, false
}

// answering tells which API server it is that answers, as each of them does: at a load balancer nothing else does.
func (w *world) answering(by client) []metav1.ServerAddressByClientCIDR {
	return []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: w.address(slices.Index(w.names, by.server)) + ":6443"}}
}

func (w *world) groups() metav1.APIGroupList {
	groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	seen := map[string]bool{"": true}
	for _, name := range slices.Sorted(maps.Keys(w.tables)) {
		t := w.tables[name]
		if seen[t.group] {
			continue
		}
		seen[t.group] = true
		v := metav1.GroupVersionForDiscovery{GroupVersion: t.apiVersion(), Version: t.version}
		groups.Groups = append(groups.Groups, metav1.APIGroup{Name: t.group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
	}
	return groups
}

func (w *world) resources(group, version string) (reply, bool) {
	l := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}}
	for _, name := range slices.Sorted(maps.Keys(w.tables)) {
		t := w.tables[name]
		if t.group != group || t.version != version {
			continue
		}
		l.GroupVersion = t.apiVersion()
		l.APIResources = append(l.APIResources, metav1.APIResource{Name: t.plural, Kind: t.kind, Namespaced: t.namespaced, Verbs: t.verbs, ShortNames: shortNames(t.plural)})
		if t.plural == "pods" {
			l.APIResources = append(l.APIResources, metav1.APIResource{
				Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1", Namespaced: true, Verbs: metav1.Verbs{"create"},
			})
		}
	}
	return encode(http.StatusOK, l), len(l.APIResources) > 0
}

// shortNames are kubectl's words for the resources that people type most.
func shortNames(plural string) []string {
	short, ok := map[string]string{
		"nodes": "no", "pods": "po", "namespaces": "ns", "configmaps": "cm", "deployments": "deploy", "replicasets": "rs",
		"statefulsets": "sts", "daemonsets": "ds", "poddisruptionbudgets": "pdb", "persistentvolumes": "pv", "persistentvolumeclaims": "pvc",
	}[plural]
	if !ok {
		return nil
	}
	return []string{short}
}
