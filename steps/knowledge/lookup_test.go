package knowledge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What everybody who upgraded knows, step by step: the kinds that are gone from one minor to the next.
func TestAPIsRemoved(t *testing.T) {
	b := load(t)
	for upTo, want := range map[Minor][]string{
		25: {
			"autoscaling/v2beta1 HorizontalPodAutoscaler", "batch/v1beta1 CronJob", "discovery.k8s.io/v1beta1 EndpointSlice",
			"events.k8s.io/v1beta1 Event", "node.k8s.io/v1beta1 RuntimeClass", "policy/v1beta1 PodDisruptionBudget", "policy/v1beta1 PodSecurityPolicy",
		},
		26: {
			"autoscaling/v2beta2 HorizontalPodAutoscaler", "flowcontrol.apiserver.k8s.io/v1beta1 FlowSchema",
			"flowcontrol.apiserver.k8s.io/v1beta1 PriorityLevelConfiguration",
		},
		27: {"storage.k8s.io/v1beta1 CSIStorageCapacity"},
		28: nil,
		29: {"flowcontrol.apiserver.k8s.io/v1beta2 FlowSchema", "flowcontrol.apiserver.k8s.io/v1beta2 PriorityLevelConfiguration"},
		31: nil,
		32: {"flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema", "flowcontrol.apiserver.k8s.io/v1beta3 PriorityLevelConfiguration"},
		37: nil,
	} {
		var got []string
		for _, a := range b.APIsRemoved(upTo-1, upTo) {
			if a.ServedByDefault {
				got = append(got, a.APIVersion()+" "+a.Kind)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("to %s, served by default (-want +got):\n%s", upTo, d)
		}
	}
}

func TestObjectsThatHaveToBeDeletedBefore(t *testing.T) {
	var got []string
	for _, a := range load(t).APIsRemoved(35, 37) {
		if a.DeleteBefore {
			got = append(got, fmt.Sprint(a.RemovedIn, " ", a.APIVersion(), " ", a.Resource, " ", a.Namespaced))
		}
	}
	want := []string{
		"1.36 scheduling.k8s.io/v1alpha1 workloads true", "1.37 scheduling.k8s.io/v1alpha2 podgroups true",
		"1.37 scheduling.k8s.io/v1alpha2 workloads true",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Nobody is sent from one removed version to another that the target does not serve either.
func TestReplacementsAreServedByTheMinorThatRemoves(t *testing.T) {
	b := load(t)
	n := 0
	for _, a := range b.all.APIs {
		if a.Replacement == "" {
			continue
		}
		n++
		version, kind, ok := strings.Cut(a.Replacement, " ")
		if !ok || !strings.HasPrefix(version, a.Group+"/") || kind == "" || strings.Contains(kind, " ") {
			t.Errorf("%s %s: %q is not an API version of the group and a kind", a.APIVersion(), a.Kind, a.Replacement)
		}
		gone := slices.ContainsFunc(b.APIsRemoved(0, a.RemovedIn), func(r API) bool { return r.APIVersion() == version && r.Kind == kind })
		if gone {
			t.Errorf("%s %s: %s does not serve %s", a.APIVersion(), a.Kind, a.RemovedIn, a.Replacement)
		}
	}
	if n < 40 {
		t.Errorf("only %d replacements", n)
	}
}

func TestVolumesRemoved(t *testing.T) {
	b := load(t)
	for upTo, want := range map[Minor][]string{
		26: {"cinder cinder.csi.openstack.org", "glusterfs "}, 27: {"awsElasticBlockStore ebs.csi.aws.com", "azureDisk disk.csi.azure.com"},
		28: {"gcePersistentDisk pd.csi.storage.gke.io"}, 29: nil, 31: {"cephfs ", "rbd "}, 36: {"portworxVolume pxd.portworx.com"},
	} {
		var got []string
		for _, v := range b.VolumesRemoved(upTo-1, upTo) {
			got = append(got, v.Name+" "+v.CSIDriver)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("to %s (-want +got):\n%s", upTo, d)
		}
	}
}

// What is removed on a long way is what is removed on its stages, and nothing is said of what is behind or ahead.
func TestLookupsOfAWayAreThoseOfItsStages(t *testing.T) {
	b := load(t)
	rapid.Check(t, func(t *rapid.T) {
		stops := []int{rapid.IntRange(20, 40).Draw(t, "a"), rapid.IntRange(20, 40).Draw(t, "b"), rapid.IntRange(20, 40).Draw(t, "c")}
		slices.Sort(stops)
		from, via, to := Minor(stops[0]), Minor(stops[1]), Minor(stops[2])
		if d := cmp.Diff(len(b.APIsRemoved(from, to)), len(b.APIsRemoved(from, via))+len(b.APIsRemoved(via, to))); d != "" {
			t.Error("APIs", d)
		}
		f := rapid.SampledFrom(b.all.Flags).Draw(t, "flag")
		_, whole := b.FlagRemoved(f.Component, f.Names[0], from, to)
		_, first := b.FlagRemoved(f.Component, f.Names[0], from, via)
		_, second := b.FlagRemoved(f.Component, f.Names[0], via, to)
		if whole != (first || second) || whole != f.In.within(from, to) {
			t.Errorf("%s --%s from %s by %s to %s: %t, %t, %t", f.Component, f.Names[0], from, via, to, whole, first, second)
		}
	})
}
