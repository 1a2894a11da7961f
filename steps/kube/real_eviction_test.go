package kube_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/kube"
)

const (
	evicted = "/api/v1/namespaces/evicted"
	pdb     = "/apis/policy/v1/namespaces/evicted/poddisruptionbudgets"
)

// realBudgets proves that the server refuses to evict exactly the pods of which eviction.Refuses says so: pods in every state under one
// budget with every kind of numbers, and under two.
func realBudgets(t *testing.T, api *realServer, c *kube.Client) {
	api.send(t, "POST", "/api/v1/namespaces", `{"metadata":{"name":"evicted"}}`)
	pods := realPods(t, api, c)
	api.send(t, "POST", pdb, `{"metadata":{"name":"a"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"}}}}`)
	answers := map[int]int{}
	for _, policy := range []string{`null`, `"IfHealthyBudget"`, `"AlwaysAllow"`} {
		generation := realGeneration(t, api.send(t, "PATCH", pdb+"/a", `{"spec":{"unhealthyPodEvictionPolicy":`+policy+`}}`))
		for _, behind := range []int{0, 1} {
			for _, numbers := range [][3]int{ // allowed, healthy, desired
				{0, 0, 0}, {0, 1, 1}, {0, 2, 1}, {0, 1, 2}, {1, 0, 0}, {1, 1, 0}, {1, 2, 1}, {1, 1, 2}, {2, 3, 1},
			} {
				api.send(t, "PATCH", pdb+"/a/status", fmt.Sprintf(`{"status":{"observedGeneration":%d,"disruptionsAllowed":%d,"currentHealthy":%d,"desiredHealthy":%d}}`,
					generation-behind, numbers[0], numbers[1], numbers[2]))
				asked(t, api, c, pods, answers)
			}
		}
	}
	// Not by the selector {}, which servers before 1.28.3 take for one of no pods when they evict (CHANGELOG-1.28.md).
	api.send(t, "POST", pdb, `{"metadata":{"name":"b"},"spec":{"minAvailable":0,"selector":{"matchExpressions":[{"key":"app","operator":"Exists"}]}}}`)
	asked(t, api, c, pods, answers)
	api.send(t, "DELETE", pdb+"/a", "")
	api.send(t, "DELETE", pdb+"/b", "")
	if answers[http.StatusCreated] < 50 || answers[http.StatusTooManyRequests] < 50 || answers[http.StatusInternalServerError] == 0 {
		t.Errorf("%v: that proves nothing", answers)
	}
}

// asked compares the server's answers about each pod with what is foretold from the budgets. A dry run is judged as in earnest.
func asked(t *testing.T, api *realServer, c *kube.Client, pods []kube.Pod, answers map[int]int) {
	t.Helper()
	budgets, err := c.Budgets(t.Context(), "evicted")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		code, answer := api.ask(t, "POST", evicted+"/pods/"+p.Name+"/eviction?dryRun=All",
			`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"`+p.Name+`"}}`)
		if want := foretold(eviction.NewBudgets(budgets).Over(p), p); code != want {
			t.Errorf("%s, %s, Ready %t, under %q: the server answers %d, foretold is %d: %s", p.Name, p.Phase, p.Ready, inWords(budgets), code, want, answer)
		}
		answers[code]++
	}
}

func inWords(budgets []kube.Budget) (all []string) {
	for _, b := range budgets {
		all = append(all, fmt.Sprintf("%s; those not Ready may go: %t", b.Words(), b.UnreadyMayGo))
	}
	return all
}

func foretold(over []kube.Budget, p kube.Pod) int {
	switch {
	case len(over) > 1:
		return http.StatusInternalServerError
	case len(over) == 1 && eviction.Refuses(over[0], p):
		return http.StatusTooManyRequests
	}
	return http.StatusCreated
}

// realPods makes a pod in each state, as the client reads it.
func realPods(t *testing.T, api *realServer, c *kube.Client) []kube.Pod {
	t.Helper()
	for _, phase := range []string{"Pending", "Running", "Unknown", "Succeeded", "Failed"} {
		for _, ready := range []string{"True", "False"} {
			realPod(t, api, fmt.Sprintf("p%d", len(realRead(t, c))), phase, ready)
		}
	}
	realPod(t, api, "going", "Running", "True")
	api.send(t, "DELETE", evicted+"/pods/going", "")
	return realRead(t, c)
}

func realPod(t *testing.T, api *realServer, name, phase, ready string) {
	t.Helper()
	api.send(t, "POST", evicted+"/pods", `{"metadata":{"name":"`+name+`","labels":{"app":"x"},"finalizers":["example.com/holds"]},
		"spec":{"nodeName":"w1","containers":[{"name":"c","image":"i"}]}}`)
	api.send(t, "PATCH", evicted+"/pods/"+name+"/status", `{"status":{"phase":"`+phase+`","conditions":[{"type":"Ready","status":"`+ready+`"}]}}`)
}

func realRead(t *testing.T, c *kube.Client) []kube.Pod {
	t.Helper()
	pods, err := c.Pods(t.Context(), kube.PodFilter{Namespace: "evicted"})
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func realGeneration(t *testing.T, answer []byte) int {
	t.Helper()
	var object struct{ Metadata struct{ Generation int } }
	if err := json.Unmarshal(answer, &object); err != nil {
		t.Fatal(err)
	}
	return object.Metadata.Generation
}

// realEnding proves by what the server keeps that an evicted pod is waited for until its kubelet has deleted it, and no longer where a
// finalizer holds it: what a kubelet does is done by hand.
func realEnding(t *testing.T, api *realServer, c *kube.Client) {
	realPod(t, api, "ending", "Running", "True")
	ending := func() kube.Pod {
		for _, p := range realRead(t, c) {
			if p.Name == "ending" {
				return p
			}
		}
		t.Fatal("it is gone")
		return kube.Pod{}
	}
	if err := c.EvictWithin(t.Context(), ending(), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, next := range []struct {
		what, method, path, body string
		fate                     eviction.Fate
	}{
		{"its containers have ended", "PATCH", "/status", `{"status":{"phase":"Failed"}}`, eviction.Passes},
		{"its kubelet lets go of it", "DELETE", "", `{"gracePeriodSeconds":0}`, eviction.Stays},
	} {
		api.send(t, next.method, evicted+"/pods/ending"+next.path, next.body)
		if fate, _ := (eviction.Rules{}).Judge(ending()); fate != next.fate {
			t.Errorf("%s: %d, want %d: %+v", next.what, fate, next.fate, ending())
		}
	}
}
