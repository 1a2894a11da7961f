package kubetest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// evict does what pkg/registry/core/pod/storage/eviction.go does with a POST pods/NAME/eviction.
func (s *Server) evict(path string, eviction object) answer {
	pod, ok := s.objects[path]
	if !ok {
		return failure(http.StatusNotFound, "NotFound", path+" not found")
	}
	if uid := str(eviction, "deleteOptions", "preconditions", "uid"); uid != "" && uid != str(pod, "metadata", "uid") {
		return failure(http.StatusConflict, "Conflict", "Precondition failed: UID in precondition: "+uid)
	}
	if counted(pod) {
		if refused, ok := s.budget(pod); !ok {
			s.tell(s.refused, pod)
			return refused
		}
	}
	s.terminate(path, pod)
	return answer{code: http.StatusCreated, body: object{"kind": "Status", "apiVersion": "v1", "status": "Success"}}
}

// remove does what a DELETE pods/NAME does: it asks no budget.
func (s *Server) remove(path string, options object) answer {
	pod, ok := s.objects[path]
	if !ok {
		return failure(http.StatusNotFound, "NotFound", path+" not found")
	}
	if uid := str(options, "preconditions", "uid"); uid != "" && uid != str(pod, "metadata", "uid") {
		return failure(http.StatusConflict, "Conflict", "Precondition failed: UID in precondition: "+uid)
	}
	s.terminate(path, pod)
	return answer{code: http.StatusOK, body: clone(pod)}
}

// budget asks the PodDisruptionBudgets.
func (s *Server) budget(pod object) (answer, bool) {
	prefix := "/apis/policy/v1/namespaces/" + str(pod, "metadata", "namespace") + "/poddisruptionbudgets/"
	var found []object
	for path, o := range s.objects {
		if strings.HasPrefix(path, prefix) && covers(at(o, "spec", "selector", "matchLabels"), pod) {
			found = append(found, o)
		}
	}
	if len(found) > 1 {
		return failure(http.StatusInternalServerError, "",
			"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."), false
	}
	if len(found) == 0 {
		return answer{}, true
	}
	status, _ := at(s.withStatus(clone(found[0]), "poddisruptionbudgets"), "status").(object)
	if number(status, "disruptionsAllowed") > 0 {
		return answer{}, true
	}
	refused := failure(http.StatusTooManyRequests, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
	refused.body["details"] = object{"causes": []any{object{
		"reason": "DisruptionBudget",
		"message": fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently",
			str(found[0], "metadata", "name"), number(status, "desiredHealthy"), number(status, "currentHealthy")),
	}}}
	return refused, false
}

// withStatus fills in what the disruption controller would have counted.
func (s *Server) withStatus(o object, resource string) object {
	if resource != "poddisruptionbudgets" {
		return o
	}
	if why := str(o, "kubetest"); why != "" { // pkg/controller/disruption/disruption.go, failSafe
		o["status"] = object{"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
			"conditions": []any{object{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": why}}}
		delete(o, "kubetest")
		return o
	}
	healthy, expected := 0, 0
	for path, pod := range s.objects {
		if !strings.HasPrefix(path, podPath(str(o, "metadata", "namespace"), "")) || !covers(at(o, "spec", "selector", "matchLabels"), pod) {
			continue
		}
		expected++
		if counted(pod) && ready(pod) {
			healthy++
		}
	}
	want := number(o, "spec", "minAvailable")
	o["status"] = object{
		"disruptionsAllowed": max(0, healthy-want), "currentHealthy": healthy, "desiredHealthy": want, "expectedPods": expected,
	}
	return o
}

// counted says whether budgets apply to a pod: to those that run and are not on their way out.
func counted(pod object) bool {
	return str(pod, "status", "phase") == "Running" && at(pod, "metadata", "deletionTimestamp") == nil
}

func ready(pod object) bool {
	conditions, _ := at(pod, "status", "conditions").([]any)
	for _, c := range conditions {
		if c, ok := c.(object); ok && c["type"] == "Ready" && c["status"] == "True" {
			return true
		}
	}
	return false
}

// terminate lets a pod go: at once, or after the time that Linger set.
func (s *Server) terminate(path string, pod object) {
	if at(pod, "metadata", "deletionTimestamp") != nil {
		return
	}
	if s.linger == 0 {
		delete(s.objects, path)
	} else {
		end := time.Now().Add(s.linger)
		set(pod, stamp(end), "metadata", "deletionTimestamp")
		set(pod, int(s.linger/time.Second), "metadata", "deletionGracePeriodSeconds")
		set(pod, stamp(end), "kubetest") // not a field of the API: reap's own note
		s.store(path, pod)
	}
	s.tell(s.evicted, pod)
}

// tell lets a controller know of a pod.
func (s *Server) tell(controller func(kube.Pod), pod object) {
	if controller == nil {
		return
	}
	about := kube.Pod{
		Namespace: str(pod, "metadata", "namespace"), Name: str(pod, "metadata", "name"),
		UID: str(pod, "metadata", "uid"), Node: str(pod, "spec", "nodeName"),
	}
	s.mu.Unlock()
	controller(about)
	s.mu.Lock()
}
