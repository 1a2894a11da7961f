package preflight

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/survey"
)

// What only looks like a trouble is told nothing, or no more than a note.
func TestWhatIsWellIsToldNothing(t *testing.T) {
	const failsClosed = `"webhooks": [{"name": "x", ` + toGuard + `, "rules": [` + everyPod + `]}]`
	for name, tt := range map[string]struct {
		plant func(*testing.T, *View)
		check string
		notes int
	}{
		"a webhook that a pod answers for": {func(t *testing.T, v *View) {
			hooked(failsClosed, guardService, "Ready")(t, v)
			v.Goal.Drains = nil // they would move its only pod
		}, "api.webhook", 0},
		"a webhook with endpoints made by hand":                {hooked(failsClosed, `"spec": {}`, "not Ready"), "api.webhook", 0},
		"a webhook of another cluster's service":               {hooked(failsClosed, `"spec": {"type": "ExternalName", "externalName": "x"}`, "not Ready"), "api.webhook", 0},
		"a volume that is there":                               {attached(kube.Attachment{Name: "a", Attached: true}, "w1", 1000*time.Hour), "drain.attachment", 0},
		"a volume on its way":                                  {attached(kube.Attachment{Name: "a", Error: "not yet"}, "w1", time.Minute), "drain.attachment", 0},
		"a volume on its way out":                              {attached(kube.Attachment{Name: "a", Attached: true, Deleting: true}, "w1", time.Minute), "drain.attachment", 0},
		"a volume on its way out of a node that has just gone": {attached(kube.Attachment{Name: "a", Attached: true, Deleting: true}, "w9", time.Minute), "drain.attachment", 0},
		"a pod in its grace": {ending(func(p *kube.Pod) {
			p.TerminatingSince, p.Grace = now.Add(-8*time.Minute), 10*time.Minute
		}), "drain.terminating", 0},
		"a pod shortly after its grace": {ending(func(p *kube.Pod) { p.TerminatingSince = now.Add(-3 * time.Minute) }), "drain.terminating", 0},
		"a finished pod that a finalizer keeps": {ending(func(p *kube.Pod) {
			p.Phase, p.Finished, p.Finalizers = "Succeeded", true, []string{"example.org/x"}
		}), "drain.terminating", 1},
		"groups of other names": {func(_ *testing.T, v *View) { v.Goal.Hosts[0].ControlPlane = false }, "node.role", 0},
		"a control plane whose manifests are gone": {func(_ *testing.T, v *View) {
			delete(v.Cluster.Census.Static, "cp1") // which is told otherwise
			for _, component := range census.ControlPlane() {
				delete(v.Hosts[0].Files, manifests+component+".yaml")
			}
		}, "node.role", 0},
		"a host that cannot be asked": {func(_ *testing.T, v *View) {
			v.Cluster.Census.Nodes[1].ControlPlane = true // whether it runs one is not known
			v.Hosts[1] = &survey.Host{Name: "w1", Err: errors.New("refused")}
		}, "node.role", 0},
		"a host whose manifests may not be read": {func(_ *testing.T, v *View) {
			v.Cluster.Census.Nodes[1].ControlPlane = true
			v.Hosts[1].Root = false
		}, "node.role", 0},
		"a control plane that is not asked and has no static pods in the API": {func(_ *testing.T, v *View) {
			v.Hosts = v.Hosts[1:]
			delete(v.Cluster.Census.Static, "cp1") // which is told otherwise
		}, "node.role", 0},
	} {
		t.Run(name, func(t *testing.T) {
			v := healthy(t)
			tt.plant(t, v)
			v.foretell()
			notes := 0
			for _, f := range Judge(v) {
				if f.Check == tt.check && f.Severity == finding.Note {
					notes++
				} else if f.Check == tt.check {
					t.Errorf("%+v", f)
				}
			}
			if notes != tt.notes {
				t.Errorf("%d notes", notes)
			}
		})
	}
}

// What a plan takes a host for is told before all else, since everything else that is told rests on it.
func TestRolesAreToldFirst(t *testing.T) {
	v := healthy(t)
	v.Lacks = []kube.Right{{Verb: "get", Resource: "nodes"}} // api.rights: a blocker, and first by its name
	v.Cluster.Census.Nodes[0].ControlPlane = false
	if found := Judge(v); len(found) < 2 || found[0].Check != "node.role" {
		t.Errorf("%+v", found)
	}
}

// However many webhooks, volumes and pods have one trouble, it is told once, in a few lines.
func TestOneTroubleIsToldOnce(t *testing.T) {
	v := healthy(t)
	for i := range 300 {
		name := fmt.Sprintf("x-%d", i)
		attached(kube.Attachment{Name: name, Deleting: true}, "w1", time.Hour)(t, v)
		ending(func(p *kube.Pod) { p.Name = name })(t, v)
	}
	var words []string
	for i := range 300 {
		words = append(words, fmt.Sprintf(`{"name": "x-%d", `+toGuard+`, "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]}`, i))
	}
	hooked(`"webhooks": [`+strings.Join(words, ", ")+`]`)(t, v)
	v.foretell()
	for check, want := range map[string]int{"drain.attachment": 1, "drain.terminating": 1, "api.webhook": 1} {
		found := slices.DeleteFunc(Judge(v), func(f finding.Finding) bool { return f.Check != check })
		if len(found) != want || len(found[0].What+found[0].Evidence) > 1200 {
			t.Errorf("%s: %+v", check, found)
		}
	}
}

// A certificate tells its end in the time of Greenwich, a token in that of no place: both are told in that of who reads it.
func TestWhenCredentialsEndByTheReadersClock(t *testing.T) {
	v := healthy(t)
	var told []string
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("X", 5*60*60)} {
		v.Credentials = kube.Credentials{What: "the certificate of the kubeconfig", Ends: now.Add(time.Minute).In(zone)}
		told = append(told, credentials(v)[0].Evidence)
	}
	if want := now.Add(time.Minute).Local().Format(time.DateTime); told[0] != told[1] || !strings.Contains(told[0], want) {
		t.Errorf("%q, want %s", told, want)
	}
}

// What ails a DaemonSet on all nodes differs in nothing but its place, so that the report can tell it once.
func TestADaemonSetThatIsIllEverywhere(t *testing.T) {
	v := healthy(t)
	for _, node := range []string{"cp1", "w1"} {
		p := pod("kube-system", "cni-of-"+node, node, "cni", "k8s-app=cni")
		p.OwnerKind, p.Ails = "DaemonSet", &kube.Complaint{Pod: p.Pod, Why: "ImagePullBackOff", Says: "back-off pulling"}
		v.Cluster.Pods = append(v.Cluster.Pods, p)
	}
	found := illDaemons(v)
	if len(found) != 2 || !strings.Contains(found[1].Evidence, "kube-system/cni-of-w1") {
		t.Fatalf("%+v", found)
	}
	if a, b := found[0], found[1]; a.What != b.What || a.Remedy != b.Remedy || a.Where == b.Where {
		t.Errorf("%+v", found)
	}
}

const (
	toGuard      = `"clientConfig": {"service": {"namespace": "guard", "name": "guard"}}`
	everyPod     = `{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}`
	guardService = `"spec": {"selector": {"app": "guard"}}`
	guardPod     = "not Ready"
)

// hooked gives the cluster a webhook configuration, and what there is of a service guard/guard and its pod.
func hooked(configuration string, behind ...string) func(*testing.T, *View) {
	return func(t *testing.T, v *View) {
		s := kubetest.New()
		s.Set(t, "/api/v1/namespaces/shop", `{"metadata": {"name": "shop", "labels": {"team": "sales"}}}`)
		s.Set(t, "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/guard", `{"metadata": {"name": "guard"}, `+configuration+`}`)
		if len(behind) > 0 {
			s.Set(t, "/api/v1/namespaces/guard/services/guard", `{"metadata": {"name": "guard", "namespace": "guard"}, `+behind[0]+`}`)
			p := pod("guard", "guard-1", "w1", "guard", "app=guard")
			p.Ready = behind[1] == "Ready"
			v.Cluster.Pods = append(v.Cluster.Pods, p)
		}
		var err error
		if v.Cluster.Webhooks, err = s.Client(t, "r1").Webhooks(t.Context()); err != nil || len(v.Cluster.Webhooks) == 0 {
			t.Fatalf("%v, %v", v.Cluster.Webhooks, err)
		}
	}
}

// attached gives the cluster a volume attachment, as it has been for so long.
func attached(a kube.Attachment, node string, ago time.Duration) func(*testing.T, *View) {
	a.Attacher, a.Volume, a.Node, a.Since = "csi.x", "pv-a", node, now.Add(-ago)
	return func(_ *testing.T, v *View) { v.Cluster.Attachments = append(v.Cluster.Attachments, a) }
}

// ending gives the cluster a pod that should have ended an hour ago.
func ending(change func(*kube.Pod)) func(*testing.T, *View) {
	return func(_ *testing.T, v *View) {
		p := pod("shop", "old", "w1", "old", "app=old")
		p.Terminating, p.TerminatingSince = true, now.Add(-time.Hour-p.Grace)
		change(&p.Pod)
		v.Cluster.Pods = append(v.Cluster.Pods, p)
	}
}
