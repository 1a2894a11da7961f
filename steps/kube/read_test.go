package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

// A version is without its v; what is no version is as its kubelet said it.
func TestKubeletsVersions(t *testing.T) {
	s := kubetest.New()
	for said, want := range map[string]string{"1.28.15": "1.28.15", "endor-2": "vendor-2", "": "", "1.28.x-custom": "1.28.x-custom"} {
		s.SetNode(kube.Node{Name: "w1", KubeletVersion: said}) // with a v before it
		if n, err := s.Client(t, "r1").Node(t.Context(), "w1"); err != nil || n.KubeletVersion != want {
			t.Errorf("v%s is %q (%v), want %q", said, n.KubeletVersion, err, want)
		}
	}
}

// A node and a pod that went through the API come back as they were: the conversion loses nothing that a step looks at.
func TestNodesAndPodsComeBackWhole(t *testing.T) {
	s := kubetest.New()
	since := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	node := kube.Node{
		Name: "w1", UID: "u1", Labels: map[string]string{"zone": "a"}, Annotations: map[string]string{"k": "v"},
		Unschedulable: true, ReadyReason: "KubeletNotReady", ReadySince: since, KubeletVersion: "1.27.3",
		BootID: "b", MachineID: "m", InternalIP: "10.0.0.1", Runtime: "containerd://1.6.20",
	}
	pod := kube.Pod{
		Namespace: "shop", Name: "cart-0", UID: "p1", Node: "w1", Created: since, Labels: map[string]string{"app": "cart"}, Phase: "Pending",
		OwnerKind: "StatefulSet", Owner: "cart", EmptyDir: true, Images: []string{"cart:1"}, Grace: 30 * time.Second,
		Claims: []string{"data"}, Finalizers: []string{"batch.kubernetes.io/job-tracking"}, Terminating: true, TerminatingSince: since, Mirror: true, ConfigHash: "h",
	}
	s.SetNode(node)
	s.SetPod(pod)
	c := s.Client(t, "r1")

	gotNode, err := c.Node(t.Context(), "w1")
	gotNode.ResourceVersion, gotNode.ReadySince = "", gotNode.ReadySince.UTC()
	if diff := cmp.Diff(node, gotNode); err != nil || diff != "" {
		t.Errorf("node: %v\n%s", err, diff)
	}
	pods, err := c.Pods(t.Context(), kube.PodFilter{Node: "w1", Labels: "app=cart"})
	if err != nil || len(pods) != 1 {
		t.Fatalf("got %v, %v", pods, err)
	}
	pods[0].TerminatingSince, pods[0].Created = pods[0].TerminatingSince.UTC(), pods[0].Created.UTC()
	if diff := cmp.Diff(pod, pods[0]); diff != "" {
		t.Error(diff)
	}
	for _, f := range []kube.PodFilter{{Node: "w2"}, {Labels: "app=other"}, {Namespace: "other"}} {
		if pods, err := c.Pods(t.Context(), f); err != nil || len(pods) != 0 {
			t.Errorf("%+v: got %v, %v", f, pods, err)
		}
	}
}

// Lists are read page by page, and begin anew when the server has forgotten the snapshot: nothing missing, nothing twice.
func TestListsArePaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		for i := range 1201 {
			s.SetNode(kube.Node{Name: fmt.Sprintf("n%04d", i), Ready: true})
		}
		for _, fault := range []kubetest.Fault{kubetest.None, kubetest.Expired, kubetest.Reset} {
			s.Fail(func(n int, _ *http.Request) kubetest.Fault {
				if n == 2 {
					return fault
				}
				return kubetest.None
			})
			nodes, err := s.Client(t, "r1").Nodes(t.Context())
			if err != nil || len(nodes) != 1201 || nodes[1200].Name != "n1200" {
				t.Errorf("%s: %d nodes, %v", fault, len(nodes), err)
			}
		}
	})
}

// forgetful has a cluster whose server has no snapshot for a second page. What it offers instead is told by offer, of the place
// that was asked for; one that it knows again holds.
func forgetful(s *kubetest.Server, offer func(next string) string, asked *[]string) door {
	return func(r *http.Request) (*http.Response, error) {
		query := r.URL.Query()
		next := query.Get("continue")
		*asked = append(*asked, query.Get("limit")+"@"+next)
		if held, ok := strings.CutPrefix(next, "held-"); ok {
			query.Set("continue", held)
			r = r.Clone(r.Context())
			r.URL.RawQuery = query.Encode()
		} else if next != "" {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"metadata":{"continue":%q}}`, offer(next))
			return w.Result(), nil
		}
		return s.RoundTrip(r)
	}
}

// A list whose snapshot is always gone before its second page is read with few requests: after two fresh starts it goes on
// from where it was, if the server offers that, and is asked for at once otherwise. Nothing is missing, and nothing twice.
func TestAListWhosePagesAlwaysExpire(t *testing.T) {
	s := kubetest.New()
	for i := range 1201 {
		s.SetNode(kube.Node{Name: fmt.Sprintf("n%04d", i), Ready: true})
	}
	start := "500@ 500@500 500@ 500@500 500@ 500@500 " // each ends with a 410
	for name, tt := range map[string]struct {
		offer func(string) string
		asked string
	}{
		"nothing is offered":       {func(string) string { return "" }, start + "@"},
		"the rest is offered":      {func(next string) string { return "held-" + next }, start + "500@held-500 500@1000 500@held-1000"},
		"what is offered is gone":  {func(next string) string { return next + "0" }, start + "500@5000 @"},
		"the same again and again": {func(next string) string { return next }, start + "500@500 @"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			c, err := kube.New("http://forgetful", forgetful(s, tt.offer, &asked), kube.Options{})
			if err != nil {
				t.Fatal(err)
			}
			nodes, err := c.Nodes(t.Context())
			if err != nil || len(nodes) != 1201 {
				t.Errorf("%d nodes, %v", len(nodes), err)
			}
			for i, n := range nodes {
				if n.Name != fmt.Sprintf("n%04d", i) {
					t.Fatalf("node %d is %s", i, n.Name)
				}
			}
			if got := strings.Join(asked, " "); got != tt.asked {
				t.Errorf("it asked %s, want %s", got, tt.asked)
			}
		})
	}
}

// One fault of any kind at any request of a read is not noticed; the same fault at every request is a transient error
// within bounds of tries and time.
func TestReadsSurviveFaults(t *testing.T) {
	for _, fault := range kubetest.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := kubetest.New()
				s.SetNode(kube.Node{Name: "w1", Ready: true})
				c := s.Client(t, "r1")
				s.Fail(func(n int, _ *http.Request) kubetest.Fault {
					if n%2 == 0 {
						return fault
					}
					return kubetest.None
				})
				if _, err := c.Node(t.Context(), "w1"); err != nil {
					t.Errorf("one fault: %v", err)
				}
				if fault == kubetest.Conflict {
					return // reads have no conflicts
				}
				before, start := len(s.Requests()), time.Now()
				s.Fail(func(int, *http.Request) kubetest.Fault { return fault })
				_, err := c.Node(t.Context(), "w1")
				var transient *engine.TransientError
				if !errors.As(err, &transient) || !strings.Contains(err.Error(), "node w1") {
					t.Errorf("for ever: got %v", err)
				}
				if tries := len(s.Requests()) - before; tries != 5 || time.Since(start) > 8*time.Second {
					t.Errorf("for ever: %d tries in %v", tries, time.Since(start))
				}
			})
		})
	}
}

// An API server that asks for more time than there is patience is not waited for, and a caller who leaves is not kept.
func TestReadsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.Fail(func(int, *http.Request) kubetest.Fault { return kubetest.Refused })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Client(t, "r1").Nodes(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// A server that swallows requests costs ten seconds each, and no more.
func TestRequestsHaveATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := kube.New("http://void", swallow{}, kube.Options{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var transient *engine.TransientError
		if err := c.Readyz(t.Context()); !errors.As(err, &transient) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

type swallow struct{}

func (swallow) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSmallReads(t *testing.T) {
	s := kubetest.New()
	renewed := time.Now().Truncate(time.Microsecond).UTC()
	s.SetNodeLease("w1", renewed)
	s.SetConfigMap("kube-system", "kubeadm-config", map[string]string{"ClusterConfiguration": "x"})
	s.SetPod(kube.Pod{Namespace: "shop", Name: "db", Node: "w1", Claims: []string{"data", "gone"}})
	s.Attach("pv1", "w1", "shop/data")
	s.Attach("pv2", "w2", "")
	c, ctx := s.Client(t, "r1"), t.Context()

	check := func(what string, got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
	}
	lease, err := c.NodeLease(ctx, "w1")
	check("lease", lease.UTC(), renewed, err)
	data, err := c.ConfigData(ctx, "kube-system", "kubeadm-config")
	check("config", data, map[string]string{"ClusterConfiguration": "x"}, err)
	version, err := c.ServerVersion(ctx)
	check("version", version, "1.27.3", err)
	uid, err := c.UID(ctx)
	check("uid", uid, "cluster-uid", err)
	attached, err := c.Attachments(ctx, "w1")
	var names []string
	for _, a := range attached {
		names = append(names, a.Volume)
	}
	check("attached", names, []string{"pv1"}, err)
	volumes, err := c.VolumesOf(ctx, kube.Pod{Namespace: "shop", Name: "db", Claims: []string{"data", "gone"}})
	check("volumes", volumes, []string{"pv1"}, err)
	check("ready", nil, nil, c.Readyz(ctx))

	_, err = c.Node(ctx, "w9")
	if !errors.Is(err, kube.ErrNotFound) || !strings.Contains(err.Error(), "w9") {
		t.Errorf("a node that is not there: %v", err)
	}
}

// The client of a dry run cannot write, whatever is asked of it, and the server never hears of it.
func TestReadOnlyRefusesEveryWrite(t *testing.T) {
	s := kubetest.New()
	s.SetNode(kube.Node{Name: "w1", Ready: true})
	s.SetPod(kube.Pod{Namespace: "shop", Name: "cart", Node: "w1"})
	c := s.Client(t, "r1").ReadOnly()
	pods, err := c.Pods(t.Context(), kube.PodFilter{})
	if err != nil || len(pods) != 1 {
		t.Fatalf("reading: %v, %v", pods, err)
	}
	for name, write := range map[string]func() error{
		"cordon": func() error { return c.Cordon(t.Context(), "w1", "r1/drain") },
		"evict":  func() error { return c.Evict(t.Context(), pods[0]) },
		"lock":   func() error { return kube.NewLock(c, kube.Identity{Run: "r1"}).Acquire(t.Context()) },
	} {
		var transient *engine.TransientError
		if err := write(); !errors.Is(err, engine.ErrReadOnly) || errors.As(err, &transient) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if writes := s.Writes(); len(writes) > 0 {
		t.Errorf("the server saw %v", writes)
	}
}

// A pod's grace is what its deletion gives it, once that is asked for, and not what it asks for itself.
func TestGraceOfADeletion(t *testing.T) {
	s := kubetest.New()
	s.Set(t, "/api/v1/namespaces/shop/pods/cart", `{"metadata": {"name": "cart", "namespace": "shop", "deletionTimestamp": "2026-11-23T13:00:00Z",
		"deletionGracePeriodSeconds": 3600}, "spec": {"terminationGracePeriodSeconds": 30}}`)
	pods, err := s.Client(t, "r1").Pods(t.Context(), kube.PodFilter{})
	if err != nil || len(pods) != 1 || pods[0].Grace != time.Hour || !pods[0].TerminatingSince.Equal(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", pods, err)
	}
}

// A volume attachment says what the last attempt came to, for the one direction that it goes in.
func TestAttachments(t *testing.T) {
	s := kubetest.New()
	made, asked := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	const meta = `"creationTimestamp": "2026-11-01T00:00:00Z"`
	const deleting = meta + `, "deletionTimestamp": "2026-11-02T00:00:00Z", "deletionGracePeriodSeconds": 0`
	for name, text := range map[string]string{
		"a-well":      `"metadata": {` + meta + `}, "status": {"attached": true, "detachError": {"message": "of before"}}`,
		"b-inline":    `"metadata": {` + meta + `}, "status": {"attachError": {"message": "no such disk"}}`,
		"c-stuck":     `"metadata": {` + deleting + `}, "status": {"attached": true, "attachError": {"message": "of before"}, "detachError": {"message": "in use"}}`,
		"d-never":     `"metadata": {` + deleting + `}, "status": {"attachError": {"message": "no such disk"}}`,
		"e-elsewhere": `"metadata": {` + meta + `}, "status": {"attached": true}`,
	} {
		node, source := "w1", `{"persistentVolumeName": "pv-`+name[:1]+`"}`
		if name == "e-elsewhere" {
			node = "w2"
		}
		if name == "b-inline" {
			source = `{"inlineVolumeSpec": {}}`
		}
		s.Set(t, "/apis/storage.k8s.io/v1/volumeattachments/"+name, `{`+strings.Replace(text, `"metadata": {`, `"metadata": {"name": "`+name+`", `, 1)+
			`, "spec": {"attacher": "csi.x", "nodeName": "`+node+`", "source": `+source+`}}`)
	}
	c := s.Client(t, "r1")
	got, err := c.Attachments(t.Context(), "w1")
	want := []kube.Attachment{
		{Name: "a-well", Attacher: "csi.x", Volume: "pv-a", Node: "w1", Attached: true, Since: made},
		{Name: "b-inline", Attacher: "csi.x", Volume: "b-inline", Node: "w1", Since: made, Error: "no such disk"},
		{Name: "c-stuck", Attacher: "csi.x", Volume: "pv-c", Node: "w1", Attached: true, Deleting: true, Since: asked, Error: "in use"},
		{Name: "d-never", Attacher: "csi.x", Volume: "pv-d", Node: "w1", Deleting: true, Since: asked, Error: "no such disk"},
	}
	for i := range got {
		got[i].Since = got[i].Since.UTC()
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if all, err := c.Attachments(t.Context(), ""); err != nil || len(all) != 5 {
		t.Errorf("of all nodes: %v, %v", all, err)
	}
}

// Only what another server answers for, and is known to be out of reach, is unavailable.
func TestUnavailable(t *testing.T) {
	s := kubetest.New()
	for name, text := range map[string]string{
		"v1.":                    `"status": {"conditions": [{"type": "Available", "status": "True", "reason": "Local"}]}`,
		"v1beta1.metrics.k8s.io": `"spec": {"service": {"namespace": "kube-system", "name": "metrics-server"}}, "status": {"conditions": [{"type": "Available", "status": "False", "lastTransitionTime": "2026-11-01T00:00:00Z", "reason": "MissingEndpoints", "message": "no addresses"}]}`,
		"v1.well.example.org":    `"spec": {"service": {"namespace": "x", "name": "x"}}, "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Passed"}]}`,
		"v1.own":                 `"status": {"conditions": [{"type": "Available", "status": "False"}]}`, // of no other server
		"v1.new.example.org":     `"spec": {"service": {"namespace": "x", "name": "x"}}`,
	} {
		s.Set(t, "/apis/apiregistration.k8s.io/v1/apiservices/"+name, `{"metadata": {"name": "`+name+`"}, `+text+`}`)
	}
	got, err := s.Client(t, "r1").Unavailable(t.Context())
	for i := range got {
		got[i].Since = got[i].Since.UTC()
	}
	want := []kube.APIService{{Name: "v1beta1.metrics.k8s.io", Service: "kube-system/metrics-server", Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Why: "MissingEndpoints: no addresses"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A budget that something owns says so: its controller before others, nobody for one that stands by itself.
func TestOwnerOfABudget(t *testing.T) {
	const operator, other = `{"kind": "Kafka", "name": "broker", "controller": true}`, `{"kind": "Team", "name": "sales"}`
	for owners, want := range map[string]string{"": "", other: "Team shop/sales", other + ", " + operator: "Kafka shop/broker"} {
		s := kubetest.New()
		s.Set(t, "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/cart",
			`{"metadata": {"name": "cart", "namespace": "shop", "ownerReferences": [`+owners+`]}}`)
		budgets, err := s.Client(t, "r1").Budgets(t.Context(), "")
		if err != nil || len(budgets) != 1 || budgets[0].Owner != want {
			t.Errorf("%s: %+v, %v", owners, budgets, err)
		}
	}
}

func TestAvailability(t *testing.T) {
	s := kubetest.New()
	s.SetNode(kube.Node{Name: "up", Ready: true})
	s.SetNode(kube.Node{Name: "hand", Ready: true, Unschedulable: true})
	s.SetNode(kube.Node{Name: "run", Ready: true, Unschedulable: true, Annotations: map[string]string{kube.CordonedBy: "r7/drain"}})
	s.SetNode(kube.Node{Name: "dead", ReadyReason: "NodeStatusUnknown", ReadySince: time.Now().Add(-4*time.Minute - time.Second)})
	got, err := kube.NewAvailability(s.Client(t, "r1")).Down(t.Context(), []string{"up", "hand", "run", "dead", "lost"})
	want := map[string]string{
		"hand": "cordoned by hand", "run": "cordoned by run r7/drain",
		"dead": "NotReady for 4m (NodeStatusUnknown)", "lost": "not a node of the cluster",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// An API server that has just started may not know its authenticators yet, nor its roles.
func TestReadsOutlastAServerThatDoesNotKnowUsYet(t *testing.T) {
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			c, err := kube.New("http://young", door(func(r *http.Request) (*http.Response, error) {
				asked++
				w := httptest.NewRecorder()
				w.Header().Set("Content-Type", "application/json")
				if asked <= 2 {
					w.WriteHeader(code)
					fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, strings.ReplaceAll(http.StatusText(code), " ", ""), code)
				} else {
					fmt.Fprint(w, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"w1"}}`)
				}
				return w.Result(), nil
			}), kube.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if n, err := c.Node(t.Context(), "w1"); err != nil || n.Name != "w1" || asked != 3 {
				t.Errorf("%d: %+v, %v after %d requests", code, n, err, asked)
			}
		})
	}
}

type door func(*http.Request) (*http.Response, error)

func (d door) RoundTrip(r *http.Request) (*http.Response, error) { return d(r) }
