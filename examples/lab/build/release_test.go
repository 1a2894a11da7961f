//go:build linux

package build

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table and the modules must say the same: what is called 1.28.15 is built from 1.28.15.
func TestReleasesAgreeWithModules(t *testing.T) {
	for _, r := range Releases() {
		requires(t, "kubernetes-"+r.Version, "k8s.io/kubernetes v"+r.Version)
		for _, module := range []string{"server", "etcdctl", "etcdutl"} {
			requires(t, "etcd-"+r.etcdVersion(), "go.etcd.io/etcd/"+module+"/v3 v"+r.etcdVersion())
		}
		requires(t, "coredns-"+bare(r.CoreDNS), "github.com/coredns/coredns "+r.CoreDNS)
	}
	requires(t, "cni-"+cniVersion, "github.com/containernetworking/plugins v"+cniVersion)
	requires(t, "crictl", "k8s.io/cri-api ")
}

func requires(t *testing.T, module, line string) {
	t.Helper()
	dir := filepath.Join("..", "modules", module)
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), line) {
		t.Errorf("%s/go.mod does not require %q", dir, line)
	}
	if !strings.Contains(string(data), "module "+modulePath+"/examples/lab/modules/"+module+"\n") {
		t.Errorf("%s/go.mod is named after something else", dir)
	}
	if info, err := os.Stat(filepath.Join(dir, "go.sum")); err != nil || info.Size() == 0 {
		t.Errorf("%s has no go.sum: %v", dir, err)
	}
}

// Every staging module comes from the very release, but for samples, which are in no program.
func TestStagingModulesAreOfTheRelease(t *testing.T) {
	for _, r := range Releases() {
		data, err := os.ReadFile(filepath.Join("..", "modules", "kubernetes-"+r.Version, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`=> (\S+) (\S+)`).FindAllStringSubmatch(string(data), -1) {
			if m[2] != "v0."+strings.TrimPrefix(r.Version, "1.") && !strings.HasPrefix(m[1], "k8s.io/sample-") {
				t.Errorf("Kubernetes %s is built with %s %s", r.Version, m[1], m[2])
			}
		}
	}
}

func TestTableOfReleases(t *testing.T) {
	version := regexp.MustCompile(`^1\.\d+\.\d+$`)
	for _, r := range Releases() {
		if !version.MatchString(r.Version) || !strings.HasPrefix(r.CoreDNS, "v") || !strings.Contains(r.Etcd, "-") {
			t.Errorf("odd row: %+v", r)
		}
	}
	if !slices.IsSortedFunc(Releases(), func(a, b Release) int { return a.minor() - b.minor() }) {
		t.Error("the oldest release is not first")
	}
}

func TestReleaseOf(t *testing.T) {
	r, err := ReleaseOf("v1.28.15")
	if err != nil || r.Version != "1.28.15" || r.Minor() != "v1.28" || r.Revision() != "1.28.15-1.1" {
		t.Errorf("got %+v, %v", r, err)
	}
	_, err = ReleaseOf("1.2.3")
	if err == nil || !strings.Contains(err.Error(), "1.27.3, 1.28.15, 1.29.15") || !strings.Contains(err.Error(), "`lab pin 1.2.3`") {
		t.Errorf("the error names neither what there is nor what to do: %v", err)
	}
}

func TestNeeds(t *testing.T) {
	for version, want := range map[string][]string{
		"1.27.3":   {"1.27.3", "1.28.15"},
		"v1.28.15": {"1.28.15", "1.29.15"},
		"1.29.15":  {"1.29.15"},
	} {
		need, err := Needs(version)
		var got []string
		for _, r := range need {
			got = append(got, r.Version)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("a lab at %s needs %v, %v; want %v", version, got, err, want)
		}
	}
}

func TestCachePaths(t *testing.T) {
	c := Cache{"/c"}
	for got, want := range map[string]string{
		c.Kubernetes("v1.27.3", "kubectl"):        "/c/bin/v1.27.3/kubectl",
		c.Etcd("1.27.3", "etcdctl"):               "/c/bin/etcd-3.5.7/etcdctl",
		c.repository(Release{Version: "1.28.15"}): "/c/apt/core:/stable:/v1.28/deb",
		c.manifest("coredns/coredns:v1.10.1"):     "/c/registry/v2/coredns/coredns/manifests/v1.10.1",
		c.Lab("lab"):                              "/c/labs/lab",
		c.log("kubernetes 1.27.3"):                "/c/log/kubernetes-1.27.3.log",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
