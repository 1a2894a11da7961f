package kubetest

import (
	"net/http"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/kube"
)

// Deny takes a right away from whoever asks, and gives the others back: reviews of one's own rights say so, and requests
// for it are answered with 403. The zero Right takes none.
func (s *Server) Deny(r kube.Right) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = r
}

const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// review answers whether a right is not the one that was taken away.
func (s *Server) review(body object) answer {
	asked := kube.Right{Verb: str(body, "spec", "nonResourceAttributes", "verb"), Path: str(body, "spec", "nonResourceAttributes", "path")}
	if asked.Path == "" {
		spec, _ := at(body, "spec", "resourceAttributes").(object)
		asked = kube.Right{Verb: str(spec, "verb"), Group: str(spec, "group"), Namespace: str(spec, "namespace"), Name: str(spec, "name"),
			Resource: strings.TrimSuffix(str(spec, "resource")+"/"+str(spec, "subresource"), "/")}
		if asked.Resource == "namespaces" {
			asked.Namespace = "" // it counts as being in itself
		}
	}
	answered := clone(body)
	set(answered, !allows(s.denied, asked), "status", "allowed")
	return answer{code: http.StatusCreated, body: answered}
}

// RightOf is the right that a request needs, as the API server finds it out (apiserver: pkg/endpoints/request/requestinfo).
func RightOf(method, path string) kube.Right {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var r kube.Right
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		r.Group, parts = parts[1], parts[3:]
	default:
		return kube.Right{Verb: strings.ToLower(method), Path: path}
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		r.Namespace, parts = parts[1], parts[2:]
	}
	r.Resource = parts[0]
	if len(parts) > 1 {
		r.Name = parts[1]
	}
	if len(parts) > 2 {
		r.Resource += "/" + parts[2]
	}
	r.Verb = map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[method]
	if r.Verb == "get" && r.Name == "" {
		r.Verb = "list"
	}
	return r
}

// allows says whether a request that needs one right is allowed by another.
func allows(given, needed kube.Right) bool {
	within := func(given, needed string) bool { return given == "" || given == needed }
	return given.Verb == needed.Verb && given.Group == needed.Group && given.Resource == needed.Resource && given.Path == needed.Path &&
		within(given.Namespace, needed.Namespace) && within(given.Name, needed.Name)
}

// Covered says whether one of these rights allows a request that needs this one, and which.
func Covered(rights []kube.Right, needed kube.Right) (kube.Right, bool) {
	i := slices.IndexFunc(rights, func(r kube.Right) bool { return allows(r, needed) })
	if i < 0 {
		return kube.Right{}, false
	}
	return rights[i], true
}
