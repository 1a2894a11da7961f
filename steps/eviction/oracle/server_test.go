package oracle

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// A server answers what both ask of an API server: its pods by label and node, one pod, a DaemonSet, an eviction.
type server struct {
	pods      []corev1.Pod
	evictions []policyv1.Eviction // that it was asked for
}

// RoundTrip answers one request.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	switch kind := path.Base(path.Dir(r.URL.Path)); {
	case r.URL.Path == "/api/v1/pods":
		return s.list(r.URL.Query())
	case strings.HasSuffix(r.URL.Path, "/eviction"):
		return s.evict(r.Body)
	case kind == "pods":
		return reply(http.StatusOK, s.pods[0])
	case kind == "daemonsets":
		return daemonSet(path.Base(r.URL.Path))
	}
	return reply(http.StatusMethodNotAllowed, metav1.Status{Status: metav1.StatusFailure, Message: r.Method + " " + r.URL.Path})
}

func (s *server) list(query url.Values) (*http.Response, error) {
	byLabel, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	byField, err := fields.ParseSelector(query.Get("fieldSelector"))
	if err != nil {
		return nil, err
	}
	found := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for _, p := range s.pods {
		if byLabel.Matches(labels.Set(p.Labels)) && byField.Matches(fields.Set{"spec.nodeName": p.Spec.NodeName}) {
			found.Items = append(found.Items, p)
		}
	}
	return reply(http.StatusOK, found)
}

func (s *server) evict(body io.Reader) (*http.Response, error) {
	var asked policyv1.Eviction
	if err := json.NewDecoder(body).Decode(&asked); err != nil {
		return nil, err
	}
	s.evictions = append(s.evictions, asked)
	return reply(http.StatusCreated, metav1.Status{Status: metav1.StatusSuccess})
}

// daemonSet is there, or the answer is what the API server says of one that is not.
func daemonSet(name string) (*http.Response, error) {
	if name != goneDaemonSet {
		return reply(http.StatusOK, map[string]any{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metav1.ObjectMeta{Name: name}})
	}
	return reply(http.StatusNotFound, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: string(gone),
	})
}

func reply(code int, object any) (*http.Response, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}
