package kubetest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// An answer is what a request comes to.
type answer struct {
	code       int
	body       object
	retryAfter int
}

func failure(code int, reason, message string) answer {
	return answer{code: code, body: object{
		"kind": "Status", "apiVersion": "v1", "metadata": object{}, "status": "Failure",
		"code": code, "reason": reason, "message": message,
	}}
}

func (s *Server) handle(r *http.Request, body object) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reap()
	path := strings.TrimSuffix(r.URL.Path, "/")
	if needed := RightOf(r.Method, path); allows(s.denied, needed) {
		return failure(http.StatusForbidden, "Forbidden", `User "tester" cannot `+needed.String())
	}
	if path == reviews {
		return s.review(body)
	}
	switch r.Method {
	case http.MethodGet:
		return s.read(path, r)
	case http.MethodPost:
		if pod, ok := strings.CutSuffix(path, "/eviction"); ok {
			return s.evict(pod, body)
		}
		return s.create(path+"/"+str(body, "metadata", "name"), body)
	case http.MethodPut, http.MethodPatch:
		return s.change(r.Method, path, body)
	case http.MethodDelete:
		return s.remove(path, body)
	}
	return failure(http.StatusMethodNotAllowed, "MethodNotAllowed", "kubetest does not know "+r.Method)
}

func (s *Server) read(path string, r *http.Request) answer {
	if path == "/readyz" {
		return answer{code: http.StatusOK, body: object{}}
	}
	if o, ok := s.objects[path]; ok {
		return answer{code: http.StatusOK, body: clone(o)}
	}
	if items, ok := s.list(path, r); ok {
		return page(items, r)
	}
	return failure(http.StatusNotFound, "NotFound", path+" not found")
}

// list finds the objects of a collection, of one namespace or of all.
func (s *Server) list(path string, r *http.Request) ([]any, bool) {
	resource := path[strings.LastIndex(path, "/")+1:]
	group := strings.TrimSuffix(path, "/"+resource)
	if !slices.Contains(listed(), resource) {
		return nil, false
	}
	items := []any{}
	for _, p := range slices.Sorted(maps.Keys(s.objects)) {
		collection := p[:strings.LastIndex(p, "/")]
		inside := collection == path || strings.HasPrefix(collection, group+"/namespaces/") && strings.HasSuffix(collection, "/"+resource)
		if o := s.objects[p]; inside && selected(o, r) {
			items = append(items, s.withStatus(clone(o), resource))
		}
	}
	return items, true
}

// listed are the resources of which there are lists.
func listed() []string {
	return []string{
		"nodes", "pods", "namespaces", "leases", "poddisruptionbudgets", "volumeattachments", "persistentvolumes",
		"persistentvolumeclaims", "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "apiservices",
	}
}

func selected(o object, r *http.Request) bool {
	if node, ok := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "spec.nodeName="); ok && str(o, "spec", "nodeName") != node {
		return false
	}
	labels, _ := at(o, "metadata", "labels").(object)
	matches, err := kube.Selector(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return false
	}
	set := map[string]string{}
	for k, v := range labels {
		set[k], _ = v.(string)
	}
	return matches(set)
}

func page(items []any, r *http.Request) answer {
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	meta := object{"resourceVersion": "1"}
	to := len(items)
	if limit > 0 && from+limit < to {
		to = from + limit
		meta["continue"] = strconv.Itoa(to)
	}
	return answer{code: http.StatusOK, body: object{"metadata": meta, "items": items[from:to]}}
}

func (s *Server) create(path string, body object) answer {
	if _, ok := s.objects[path]; ok {
		return failure(http.StatusConflict, "AlreadyExists", path+" already exists")
	}
	s.store(path, body)
	return answer{code: http.StatusCreated, body: clone(body)}
}

// change replaces or patches an object, on condition of the resourceVersion and UID that the request names, if any.
func (s *Server) change(method, path string, body object) answer {
	old, ok := s.objects[path]
	switch {
	case ok:
	case method == http.MethodPut && strings.Contains(path, "/leases/"): // a Lease may be created by a PUT
		if str(body, "metadata", "uid") != "" {
			return failure(http.StatusConflict, "Conflict", "StorageError: invalid object: Precondition failed: UID in precondition")
		}
		return s.create(path, body)
	default:
		return failure(http.StatusNotFound, "NotFound", path+" not found")
	}
	for _, field := range []string{"uid", "resourceVersion"} {
		if want := str(body, "metadata", field); want != "" && want != str(old, "metadata", field) {
			return failure(http.StatusConflict, "Conflict", "the object has been modified; please apply your changes to the latest version")
		}
	}
	next := body
	if method == http.MethodPatch {
		next = clone(old)
		merge(next, body)
	}
	set(next, str(old, "metadata", "uid"), "metadata", "uid")
	s.store(path, next)
	return answer{code: http.StatusOK, body: clone(next)}
}

// reap removes the pods whose time is over.
func (s *Server) reap() {
	now := time.Now()
	for path, o := range s.objects {
		if end, err := time.Parse(time.RFC3339, str(o, "kubetest")); err == nil && !now.Before(end) {
			delete(s.objects, path)
		}
	}
}

// ServeHTTP answers one request. Faults that cut the connection need RoundTrip or a server that can be hijacked.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	res, err := s.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body)
}

func decode(r *http.Request) (object, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	var body object
	return body, json.Unmarshal(raw, &body)
}
