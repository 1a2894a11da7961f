package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/eviction"
)

// A verdict is what a drain makes of a pod: one of these three, or in words why it refuses to begin.
type verdict string

const (
	goes  verdict = "goes"
	stays verdict = "stays"
	waits verdict = "is waited for"
)

// TestAsKubectl proves of drawn pods and settings that a drain evicts those that kubectl evicts, and refuses those
// that kubectl refuses, in the same words, but for the differences that are meant. What fails is shrunk.
func TestAsKubectl(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds(1, 20).Draw(t, "world")
		says, got := askKubectl(t, w), ask(t, w)
		for _, p := range w.pods {
			if complaint, _ := compare(w, p, says[name(p)], got[name(p)]); complaint != "" {
				t.Error(complaint)
			}
		}
	})
}

// TestSweep proves the same of some thousand pods that are drawn alike every time. In them kubectl and a drain agree on everything that
// can become of a pod, and every difference that is meant occurs, with everything that kubectl is said to do there and nothing else.
func TestSweep(t *testing.T) {
	const seeds, pods = 100, 120
	agreed := map[verdict]int{}
	differed := make([]map[verdict]int, len(differences()))
	for seed := range seeds {
		w := worlds(pods, pods).Example(seed)
		says, got := askKubectl(t, w), ask(t, w)
		for _, p := range w.pods {
			complaint, row := compare(w, p, says[name(p)], got[name(p)])
			if complaint != "" {
				t.Fatalf("seed %d: %s", seed, complaint)
			}
			count(agreed, differed, row, says[name(p)])
		}
	}
	for _, v := range append(reasons(), goes, stays) {
		if agreed[v] < pods {
			t.Errorf("they agree on %q of %d pods: that proves nothing", v, agreed[v])
		}
	}
	for i, d := range differences() {
		if says := slices.Sorted(maps.Keys(differed[i])); !slices.Equal(says, slices.Sorted(slices.Values(d.kubectl))) {
			t.Errorf("%s: kubectl says %q, and is said to say %q; here it %s, since %s", d.pod, says, d.kubectl, d.here, d.why)
		}
	}
}

// TestRequest proves that a pod is asked for as kubectl asks for it, but for its UID: a pod that has come back under its name is another.
func TestRequest(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Second, 90 * time.Second} {
		s := &server{pods: []corev1.Pod{managed("cart")}}
		if err := kubectl(t, s, eviction.Settings{GracePeriod: grace}).EvictPod(s.pods[0], policyv1.SchemeGroupVersion); err != nil {
			t.Fatal(err)
		}
		c := client(t, s)
		if err := c.EvictWithin(t.Context(), read(t, c)[0], grace); err != nil {
			t.Fatal(err)
		}
		uid := s.pods[0].UID
		s.evictions[0].DeleteOptions.Preconditions = &metav1.Preconditions{UID: &uid}
		if d := cmp.Diff(s.evictions[0], s.evictions[1]); d != "" {
			t.Errorf("grace %s: kubectl (-), here (+)\n%s", grace, d)
		}
	}
}

// compare says what is wrong with what becomes of a pod here, if anything, and which row of the table it is; -1: none.
func compare(w world, p corev1.Pod, kubectl, here verdict) (complaint string, row int) {
	want, row := expected(p, w.settings, kubectl)
	if here != want {
		complaint = fmt.Sprintf("%s: kubectl says %q, here it is %q, want %q; %+v", shown(p), kubectl, here, want, w.settings)
	}
	return complaint, row
}

func count(agreed map[verdict]int, differed []map[verdict]int, row int, v verdict) {
	if row < 0 {
		agreed[v]++
		return
	}
	if differed[row] == nil {
		differed[row] = map[verdict]int{}
	}
	differed[row][v]++
}

func reasons() (all []verdict) {
	for _, r := range eviction.Reasons() {
		all = append(all, verdict(r.String()))
	}
	return all
}

func name(p corev1.Pod) string { return p.Namespace + "/" + p.Name }

func shown(p corev1.Pod) string {
	text, err := json.Marshal(p)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
