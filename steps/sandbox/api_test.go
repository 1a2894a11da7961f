package sandbox

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A caller speaks plain HTTPS with a sandbox, so that the tests see the bytes and not what a client makes of them.
type caller struct {
	t      *testing.T
	c      *Cluster
	client *http.Client
}

func begin(t *testing.T, o Options) caller {
	t.Helper()
	o.Dir = t.TempDir()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct {
			Cluster map[string]string `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User map[string]string `json:"user"`
		} `json:"users"`
	}
	data, err := os.ReadFile(c.Kubeconfig)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	user := config.Users[0].User
	cert, err := tls.X509KeyPair(plain(user["client-certificate-data"]), plain(user["client-key-data"]))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(plain(config.Clusters[0].Cluster["certificate-authority-data"]))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}, ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return caller{t, c, &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

// try makes a request; an error is one of the connection.
func (c caller) try(method, path, kind, body string) (int, string, error) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.c.Server+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

// do makes a request that must be answered.
func (c caller) do(method, path, kind, body string) (int, string) {
	c.t.Helper()
	code, answer, err := c.try(method, path, kind, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return code, answer
}

func (c caller) node(name string) corev1.Node {
	c.t.Helper()
	return get[corev1.Node](c, "/api/v1/nodes/"+name)
}

func get[T any](c caller, path string) T {
	c.t.Helper()
	var object T
	if _, b := c.do("GET", path, "", ""); json.Unmarshal([]byte(b), &object) != nil {
		c.t.Fatalf("no %T at %s: %s", object, path, b)
	}
	return object
}

func (c caller) eventually(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	c.t.Fatalf("still not so: %s", what)
}

const (
	asJSON  = "application/json"
	asMerge = "application/merge-patch+json"
)

// What the API answers to requests that change nothing, and how it words its refusals.
func TestAnswers(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 2})
	if err := addSecondBudget(c); err != nil {
		t.Fatal(err)
	}
	pod := func(app string) string {
		c.c.world.mu.Lock()
		defer c.c.world.mu.Unlock()
		for _, p := range list[*corev1.Pod](c.c.world, "pods") {
			if p.Labels["app"] == app {
				return p.Name
			}
		}
		return ""
	}
	eviction := func(name, options string) string {
		return fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q},"deleteOptions":%s}`, name, options)
	}
	web, db := pod("web"), pod("db")
	for _, x := range []struct {
		method, path, kind, body string
		code                     int
		want                     string
	}{
		{"GET", "/readyz", "", "", 200, "ok"},
		{"GET", "/livez", "", "", 200, "ok"},
		{"GET", "/version", "", "", 200, `"gitVersion":"v1.27.16"`},
		{"GET", "/api/v1/nodes/w9", "", "", 404, `nodes \"w9\" not found`},
		{"GET", "/api/v1/secrets", "", "", 404, "the server could not find the requested resource"},
		{"GET", "/apis/autoscaling/v2/horizontalpodautoscalers", "", "", 404, "404 page not found"},
		{"GET", "/api/v1/pods?watch=true", "", "", 405, "serves no watches"},
		{"GET", "/api/v1/pods?fieldSelector=spec.color%3Dred", "", "", 400, "field label not supported: spec.color"},
		{"POST", "/api/v1/nodes", asJSON, "{}", 405, "does not serve it"},
		{"PATCH", "/api/v1/nodes/w1", "application/apply-patch+yaml", "{}", 415, "takes merge"},
		{"PATCH", "/api/v1/nodes/w1", asMerge, `{"metadata":{"resourceVersion":"1"}}`, 409, "the object has been modified"},
		{"PATCH", "/api/v1/nodes/w1", asMerge, `{"metadata":{"uid":"x"}}`, 409, "UID in precondition"},
		{"PATCH", "/api/v1/nodes/w1", asMerge, `{`, 400, "applying the patch"},
		{"PATCH", "/api/v1/nodes/w1", asMerge, `{"status":{"conditions":[]}}`, 200, "KubeletReady"},
		{"PATCH", "/api/v1/nodes/w1?dryRun=All", asMerge, `{"spec":{"unschedulable":true}}`, 200, `"unschedulable":true`},
		{"POST", "/api/v1/namespaces/shop/pods/nobody/eviction", asJSON, eviction("nobody", "null"), 404, `pods \"nobody\" not found`},
		{"POST", "/api/v1/namespaces/shop/pods/" + web + "/eviction", asJSON, eviction(web, `{"preconditions":{"uid":"x"}}`), 409, "The object might have been deleted and then recreated"},
		{"POST", "/api/v1/namespaces/shop/pods/" + web + "/eviction", asJSON, eviction(web, `{"dryRun":["All"]}`), 201, "Success"},
		{"POST", "/api/v1/namespaces/shop/pods/" + db + "/eviction", asJSON, eviction(db, "null"), 500, "more than one PodDisruptionBudget"},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asJSON, `{"kind":"SelfSubjectAccessReview"}`, 201, `"allowed":true`},
		{"GET", "/apis", "", "", 200, "coordination.k8s.io/v1"},
		{"GET", "/api/v1", "", "", 200, "pods/eviction"},
	} {
		code, body := c.do(x.method, x.path, x.kind, x.body)
		if code != x.code || !strings.Contains(body, x.want) {
			t.Errorf("%s %s: %d %s\nwant %d with %q", x.method, x.path, code, body, x.code, x.want)
		}
	}
	if all, err := ReadEffects(c.c.Effects); err != nil || len(all) > 0 {
		t.Errorf("nothing was changed, yet there are effects: %v %v", all, err)
	}
}

func addSecondBudget(c caller) error {
	c.c.world.mu.Lock()
	defer c.c.world.mu.Unlock()
	c.c.world.addBudget("shop", "db-again", map[string]string{"app": "db"}, "maxUnavailable", 1)
	return nil
}

// kubectl get asks for a table; what people look at is in it.
func TestTable(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1})
	c.do("PATCH", "/api/v1/nodes/w1", asMerge, `{"spec":{"unschedulable":true}}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.c.Server+"/api/v1/nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	answer, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var table metav1.Table
	if err := json.NewDecoder(answer.Body).Decode(&table); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range table.Rows {
		rows = append(rows, fmt.Sprint(row.Cells[0], " ", row.Cells[1], " ", row.Cells[2], " ", row.Cells[4]))
	}
	if want := []string{"cp1 Ready control-plane v1.27.16", "w1 Ready,SchedulingDisabled <none> v1.27.16"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

// Whoever shows no certificate may ask for health, and for nothing else.
func TestUnauthorized(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1})
	transport, ok := c.client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	transport.TLSClientConfig.Certificates = nil
	if code, body := c.do("GET", "/api/v1/nodes", "", ""); code != 401 {
		t.Errorf("%d %s", code, body)
	}
	if code, body := c.do("GET", "/readyz", "", ""); code != 200 {
		t.Errorf("%d %s", code, body)
	}
}

// The three kinds of patch cordon alike; the second of each changes nothing and leaves no effect.
func TestPatches(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1})
	for _, x := range []struct{ kind, cordon, uncordon string }{
		{asMerge, `{"spec":{"unschedulable":true}}`, `{"spec":{"unschedulable":null}}`},
		{"application/strategic-merge-patch+json", `{"spec":{"unschedulable":true}}`, `{"spec":{"unschedulable":null}}`},
		{"application/json-patch+json", `[{"op":"add","path":"/spec/unschedulable","value":true}]`, `[{"op":"test","path":"/spec/unschedulable","value":true},{"op":"remove","path":"/spec/unschedulable"}]`},
	} {
		for range 2 {
			if code, body := c.do("PATCH", "/api/v1/nodes/w1", x.kind, x.cordon); code != 200 || !strings.Contains(body, unschedulable) {
				t.Errorf("%s: %d %s", x.kind, code, body)
			}
		}
		if code, body := c.do("PATCH", "/api/v1/nodes/w1", x.kind, x.uncordon); code != 200 || strings.Contains(body, unschedulable) {
			t.Errorf("%s: %d %s", x.kind, code, body)
		}
	}
	all, err := ReadEffects(c.c.Effects)
	if err != nil || len(all) != 3*4 {
		t.Errorf("%d effects, want a cordon, an uncordon and two counts of each patch: %v %v", len(all), all, err)
	}
}

// Pages of a list are the list, in its order, each object once.
func TestPages(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 2})
	var pages, names []string
	for next, more := "", true; more; more = next != "" {
		var page corev1.PodList
		_, b := c.do("GET", "/api/v1/pods?limit=4&continue="+next, "", "")
		if err := json.Unmarshal([]byte(b), &page); err != nil || len(page.Items) > 4 {
			t.Fatalf("%d items, %v", len(page.Items), err)
		}
		next = page.Continue
		for _, p := range page.Items {
			pages = append(pages, p.Name)
		}
	}
	var whole corev1.PodList
	_, b := c.do("GET", "/api/v1/pods", "", "")
	if err := json.Unmarshal([]byte(b), &whole); err != nil {
		t.Fatal(err)
	}
	for _, p := range whole.Items {
		names = append(names, p.Name)
	}
	if !slices.Equal(pages, names) {
		t.Errorf("pages %v\nwhole %v", pages, names)
	}
}

// While the only API server restarts, connections are reset; afterwards it answers in its new version, and its mirror
// pod has another hash and another UID.
func TestOutage(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1})
	before := c.pod("kube-apiserver-cp1")
	c.c.world.RunStaticPod("cp1", "kube-apiserver", imageOf("kube-apiserver", "1.28.15"))
	if _, _, err := c.try("GET", "/readyz", "", ""); err == nil {
		t.Error("the API answered while its only server was away")
	}
	if c.c.world.APIReady("cp1") {
		t.Error("the API server is said to be ready")
	}
	c.eventually("the API is back", func() bool { _, _, err := c.try("GET", "/readyz", "", ""); return err == nil })
	if _, v := c.do("GET", "/version", "", ""); !strings.Contains(v, "v1.28.15") {
		t.Error(v)
	}
	after := c.pod("kube-apiserver-cp1")
	if after.UID == before.UID || after.Annotations["kubernetes.io/config.hash"] == before.Annotations["kubernetes.io/config.hash"] {
		t.Errorf("the mirror pod is the old one: %v", after.ObjectMeta)
	}
}

func (c caller) pod(name string) corev1.Pod {
	c.t.Helper()
	return get[corev1.Pod](c, "/api/v1/namespaces/kube-system/pods/"+name)
}

// With three API servers the others go on; at most the request on the lost connection fails.
func TestRestartOfOneOfThree(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 3})
	for _, host := range []string{"cp1", "cp2", "cp3"} {
		c.c.world.RunStaticPod(host, "kube-apiserver", imageOf("kube-apiserver", "1.28.15"))
		failed := 0
		for range 20 {
			if _, _, err := c.try("GET", "/api/v1/nodes", "", ""); err != nil {
				failed++
			}
		}
		if failed > 1 {
			t.Errorf("%s: %d of 20 requests failed", host, failed)
		}
		c.eventually(host+" is back", func() bool { return c.c.world.APIReady(host) })
	}
}

// When the leader of etcd restarts, one request hears of it.
func TestLeaderChange(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 3})
	c.c.world.RunStaticPod("cp1", "etcd", imageOf("etcd", "1.28.15"))
	if code, body := c.do("GET", "/api/v1/nodes", "", ""); code != 500 || !strings.Contains(body, "etcdserver: leader changed") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := c.do("GET", "/api/v1/nodes", "", ""); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	leaders := 0
	for _, m := range c.c.world.EtcdMembers() {
		if m.Leader {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}
}

// A kubelet that restarts in a new version: the node stays Ready in the old one for a moment, then it is the new one
// and not Ready, then Ready, and the lease is fresh. A reboot brings another boot ID.
func TestKubeletRestart(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1, Speed: 0.5}) // slow, to see every state
	c.c.world.RunStaticPod("cp1", "kube-apiserver", imageOf("kube-apiserver", "1.28.15"))
	c.eventually("the API is back", func() bool { _, _, err := c.try("GET", "/readyz", "", ""); return err == nil })
	c.c.world.KubeletStopped("w1")
	c.c.world.KubeletStarted("w1", "1.28.15", "another-boot")
	states := []string{}
	c.eventually("the node is ready in its new version", func() bool {
		n := c.node("w1")
		s := fmt.Sprint(n.Status.NodeInfo.KubeletVersion, " ", isReady(&n))
		if len(states) == 0 || states[len(states)-1] != s {
			states = append(states, s)
		}
		return s == "v1.28.15 true"
	})
	if want := []string{"v1.27.16 true", "v1.28.15 false", "v1.28.15 true"}; !slices.Equal(states, want) {
		t.Errorf("states %q, want %q", states, want)
	}
	if id := c.node("w1").Status.NodeInfo.BootID; id != "another-boot" {
		t.Errorf("boot ID %s", id)
	}
	if all, err := ReadEffects(c.c.Effects); err != nil || len(all) != 2 || all[0].Detail != "1/1 workers: w1 NotReady" {
		t.Errorf("effects %v %v", all, err)
	}
}

// A silent kubelet's node is Ready still, and after a while Unknown; its pods that end do not go away.
func TestKubeletStops(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1, Speed: 2})
	c.c.world.KubeletStopped("w1")
	if n := c.node("w1"); !isReady(&n) {
		t.Error("the node is not Ready at once: no cluster notices that soon")
	}
	c.eventually("the node is not Ready", func() bool { n := c.node("w1"); return !isReady(&n) })
	n := c.node("w1")
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if n.Status.Conditions[i].Status != corev1.ConditionUnknown || n.Status.Conditions[i].Reason != "NodeStatusUnknown" {
		t.Errorf("condition %+v", n.Status.Conditions[i])
	}
}

// Versions that Kubernetes does not support together are noted, each once; a kubelet behind its API server is fine.
func TestSkew(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 2, Workers: 2})
	w := c.c.world
	w.RunStaticPod("cp1", "kube-apiserver", imageOf("kube-apiserver", "1.28.15"))
	w.KubeletStarted("w1", "1.28.15", "boot") // too early: cp2 is at 1.27
	w.KubeletStarted("w1", "1.28.15", "boot")
	w.RunStaticPod("cp2", "kube-apiserver", imageOf("kube-apiserver", "1.28.15"))
	w.KubeletStarted("w2", "1.28.15", "boot") // in time
	w.RunStaticPod("cp1", "kube-scheduler", imageOf("kube-scheduler", "1.28.15"))
	w.RunStaticPod("cp2", "kube-scheduler", imageOf("kube-scheduler", "1.29.15"))
	all, err := ReadEffects(c.c.Effects)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range all {
		if e.What == SkewViolation {
			found = append(found, e.Detail)
		}
	}
	want := []string{
		"kubelet 1.28.15 of w1 is newer than the oldest API server 1.27.16",
		"kube-scheduler 1.29.15 of cp2 is newer than its API server 1.28.15",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}

// Leases are written under their version only, as leader election relies on.
func TestLeaseVersions(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1})
	const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
	code, b := c.do("POST", path, asJSON, `{"metadata":{"name":"lock"},"spec":{"holderIdentity":"a"}}`)
	if code != 201 {
		t.Fatal(code, b)
	}
	var lease struct{ Metadata metav1.ObjectMeta }
	if err := json.Unmarshal([]byte(b), &lease); err != nil {
		t.Fatal(err)
	}
	if code, b := c.do("POST", path, asJSON, `{"metadata":{"name":"lock"}}`); code != 409 || !strings.Contains(b, "AlreadyExists") {
		t.Error(code, b)
	}
	update := func(holder string) (int, string) {
		return c.do("PUT", path+"/lock", asJSON, fmt.Sprintf(`{"metadata":{"name":"lock","resourceVersion":%q},"spec":{"holderIdentity":%q}}`, lease.Metadata.ResourceVersion, holder))
	}
	if code, b := update("b"); code != 200 {
		t.Error(code, b)
	}
	if code, b := update("c"); code != 409 || !strings.Contains(b, "Conflict") {
		t.Error(code, b)
	}
}
