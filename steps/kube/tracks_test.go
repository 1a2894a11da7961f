package kube_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/kube"
)

// answers is an API server that has these answers by path, with their query.
type answers map[string]string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	if next := r.URL.Query().Get("continue"); next != "" {
		path += "?" + next
	}
	body, code := a[path], http.StatusOK
	if body == "" {
		body, code = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`, http.StatusNotFound
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func asking(t *testing.T, a answers) *kube.Client {
	t.Helper()
	c, err := kube.New("http://api.test", a, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const coredns = `{"metadata":{"name":"coredns","namespace":"kube-system","managedFields":[
 {"manager":"kubeadm","apiVersion":"apps/v1","fieldsV1":{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"coredns\"}":{".":{},"f:image":{}}},"f:tolerations":{}}}}}},
 {"manager":"kube-controller-manager","apiVersion":"apps/v1","subresource":"status","fieldsV1":{"f:status":{"f:replicas":{}}}},
 {"manager":"kubectl-edit","apiVersion":"apps/v1","time":"2026-11-22T03:00:00Z","fieldsV1":{"f:metadata":{"f:finalizers":{"v:\"x\"":{}}},"f:spec":{"f:template":{"f:spec":{"f:nodeSelector":{"f:disk":{}}}}}}}]}}`

// Who wrote which fields of an object is read from what each left on it.
func TestTracksOf(t *testing.T) {
	c := asking(t, answers{"/apis/apps/v1/namespaces/kube-system/deployments/coredns": coredns})
	tracks, err := c.TracksOf(t.Context(), "/apis/apps/v1", "namespaces", "kube-system", "deployments", "coredns")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, x := range tracks {
		got[x.Manager] = x.Fields
	}
	want := map[string][]string{
		"kubeadm":                 {"spec.replicas", "spec.template.spec.containers[coredns].image", "spec.template.spec.tolerations"},
		"kube-controller-manager": nil, // the status is nobody's edit
		"kubectl-edit":            {`metadata.finalizers["x"]`, "spec.template.spec.nodeSelector.disk"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if _, err := c.TracksOf(t.Context(), "/apis/apps/v1", "namespaces", "kube-system", "daemonsets", "kube-proxy"); !errors.Is(err, kube.ErrNotFound) {
		t.Errorf("an object that is not there: %v", err)
	}
}

// In which version objects were last written is read from all pages, from both places where it stands.
func TestTracks(t *testing.T) {
	c := asking(t, answers{
		"/apis": `{"groups":[{"name":"policy","versions":[{"version":"v1beta1"},{"version":"v1"}],"preferredVersion":{"version":"v1"}}]}`,
		"/apis/policy/v1/poddisruptionbudgets": `{"metadata":{"continue":"two"},"items":[
			{"metadata":{"name":"a","namespace":"shop","managedFields":[{"manager":"helm","apiVersion":"policy/v1beta1","fieldsV1":{}}]}}]}`,
		"/apis/policy/v1/poddisruptionbudgets?two": `{"items":[
			{"metadata":{"name":"b","namespace":"shop","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"policy/v1beta1\"}"}}},
			{"metadata":{"name":"c","namespace":"shop","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"not JSON"}}}]}`,
	})
	groups, err := c.Groups(t.Context())
	if d := cmp.Diff(map[string][]string{"policy": {"v1", "v1beta1"}}, groups); d != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	tracks, err := c.Tracks(t.Context(), "policy", "v1", "poddisruptionbudgets")
	if err != nil {
		t.Fatal(err)
	}
	want := []kube.Track{{Object: "shop/a", Manager: "helm", APIVersion: "policy/v1beta1"}, {Object: "shop/b", APIVersion: "policy/v1beta1"}}
	if d := cmp.Diff(want, tracks); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if tracks, err := c.Tracks(t.Context(), "policy", "v1", "evictions"); err != nil || tracks != nil {
		t.Errorf("a resource that is not served: %v %v", tracks, err)
	}
}

// Reach names the API server that answered.
func TestReach(t *testing.T) {
	c := asking(t, answers{"/api": `{"versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"10.0.0.12:6443"}]}`})
	if address, err := c.Reach(t.Context()); err != nil || address != "10.0.0.12:6443" {
		t.Errorf("%q %v", address, err)
	}
	if _, err := asking(t, answers{"/api": `{}`}).Reach(t.Context()); err == nil {
		t.Error("an answer without an address is no answer")
	}
	if _, err := asking(t, answers{}).Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an error of the server: %v", err)
	}
}

// Volumes are found by the plugin that they use, and the drivers that could take them over by name.
func TestVolumesOn(t *testing.T) {
	c := asking(t, answers{
		"/api/v1/persistentvolumes": `{"items":[{"metadata":{"name":"a"},"spec":{"capacity":{},"cephfs":{"monitors":[]}}},{"metadata":{"name":"b"},"spec":{"csi":{"driver":"x"}}},
			{"metadata":{"name":"c"},"spec":{"awsElasticBlockStore":{}}}]}`,
		"/apis/storage.k8s.io/v1/csidrivers": `{"items":[{"metadata":{"name":"ebs.csi.aws.com"}}]}`,
	})
	used, err := c.VolumesOn(t.Context(), []string{"cephfs", "awsElasticBlockStore", "rbd"})
	if d := cmp.Diff(map[string][]string{"cephfs": {"a"}, "awsElasticBlockStore": {"c"}}, used); d != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	drivers, err := c.Drivers(t.Context())
	if d := cmp.Diff([]string{"ebs.csi.aws.com"}, drivers); d != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}
