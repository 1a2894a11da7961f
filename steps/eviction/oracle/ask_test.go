package oracle

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/drain"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/kube"
)

// An answer is what somebody makes of each pod of a world, by namespace/name.
type answer map[string]verdict

// askKubectl asks what `kubectl drain` does with the pods. Those that it does not name stay.
func askKubectl(t rapid.TB, w world) answer {
	t.Helper()
	list, errs := kubectl(t, &server{pods: w.pods}, w.settings).GetPodsForDeletion(node)
	if list == nil {
		t.Fatal(errs)
	}
	a := w.all(stays)
	for _, p := range list.Pods() {
		a[name(p)] = goes
	}
	for _, err := range errs {
		a.refused(t, err)
	}
	return a
}

// kubectl is `kubectl drain` with these settings. Its defaults, where a zero is not one, are of pkg/cmd/drain/drain.go.
func kubectl(t rapid.TB, s *server, with eviction.Settings) *drain.Helper {
	t.Helper()
	client, err := kubernetes.NewForConfigAndClient(&rest.Config{Host: "http://server", QPS: -1}, &http.Client{Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	grace := -1
	if with.GracePeriod > 0 {
		grace = int(with.GracePeriod / time.Second)
	}
	return &drain.Helper{
		Ctx: context.Background(), Client: client, Force: with.Force, IgnoreAllDaemonSets: with.IgnoreDaemonSets, DeleteEmptyDirData: with.DeleteEmptyDir,
		PodSelector: with.PodSelector, GracePeriodSeconds: grace, ChunkSize: 500, Out: io.Discard, ErrOut: io.Discard,
	}
}

// refused reads one of the errors that kubectl gives for the pods that it will not evict: "cannot delete WHY: NAMESPACE/NAME, ...".
func (a answer) refused(t rapid.TB, err error) {
	t.Helper()
	text, is := strings.CutPrefix(err.Error(), "cannot delete ")
	end := strings.LastIndex(text, ": ")
	if !is || end < 0 {
		t.Fatalf("kubectl: %v", err)
	}
	for pod := range strings.SplitSeq(text[end+2:], ", ") {
		a[pod] = verdict(settings().Replace(text[:end]))
	}
}

// settings names kubectl's flags as a plan has them.
func settings() *strings.Replacer {
	return strings.NewReplacer("--ignore-daemonsets", "`with: {ignoreDaemonSets: true}`",
		"--delete-emptydir-data", "`with: {deleteEmptyDir: true}`", "--force", "`with: {force: true}`")
}

// ask asks what a drain here does with the pods, through the client that it has.
func ask(t rapid.TB, w world) answer {
	t.Helper()
	rules, err := w.settings.Rules()
	if err != nil {
		t.Fatal(err)
	}
	a := w.all(stays)
	for _, p := range read(t, client(t, &server{pods: w.pods})) {
		a[p.String()] = inWords(rules.Judge(p))
	}
	return a
}

func client(t rapid.TB, s *server) *kube.Client {
	t.Helper()
	c, err := kube.New("http://server", s, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t rapid.TB, c *kube.Client) []kube.Pod {
	t.Helper()
	pods, err := c.Pods(context.Background(), kube.PodFilter{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func inWords(fate eviction.Fate, why eviction.Reason) verdict {
	switch fate {
	case eviction.Goes:
		return goes
	case eviction.Passes:
		return waits
	case eviction.Refused:
		return verdict(why.String())
	}
	return stays
}
