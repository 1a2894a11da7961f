//go:build linux

package build

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Release is a Kubernetes version and the tags of the images that its kubeadm wants beside its own.
type Release struct {
	Version string // 1.27.3
	Etcd    string // 3.5.7-0
	CoreDNS string // v1.10.1
	Pause   string // 3.9
}

// Releases are those that a lab can run, oldest first. `lab pin` says what to add for another one. A build compares
// each row with what its kubeadm says.
func Releases() []Release {
	return []Release{
		{Version: "1.27.3", Etcd: "3.5.7-0", CoreDNS: "v1.10.1", Pause: "3.9"},
		{Version: "1.28.15", Etcd: "3.5.15-0", CoreDNS: "v1.10.1", Pause: "3.9"},
		{Version: "1.29.15", Etcd: "3.5.16-0", CoreDNS: "v1.11.1", Pause: "3.9"},
	}
}

// ReleaseOf finds a release by its version, with or without v.
func ReleaseOf(version string) (Release, error) {
	var known []string
	for _, r := range Releases() {
		if r.Version == bare(version) {
			return r, nil
		}
		known = append(known, r.Version)
	}
	return Release{}, fmt.Errorf("the lab has no Kubernetes %s, only %s: take one of these, or add it by `lab pin %s`",
		bare(version), strings.Join(known, ", "), bare(version))
}

// Needs is what a lab at a version needs to be upgraded: its release and, if one is pinned, the newest of the next minor.
func Needs(version string) ([]Release, error) {
	r, err := ReleaseOf(version)
	if err != nil {
		return nil, err
	}
	need := []Release{r}
	for _, next := range slices.Backward(Releases()) {
		if next.minor() == r.minor()+1 {
			return append(need, next), nil
		}
	}
	return need, nil
}

// Minor is what apt repositories are named after: v1.27.
func (r Release) Minor() string { return "v" + r.Version[:strings.LastIndex(r.Version, ".")] }

// Revision is the version of its Debian packages, 1.27.3-1.1, as the community's repository numbers them.
func (r Release) Revision() string { return r.Version + "-1.1" }

func (r Release) minor() int {
	n, _ := strconv.Atoi(strings.Split(r.Version, ".")[1]) // a test reads the table
	return n
}

// etcdVersion is its etcd without the number of the image's build.
func (r Release) etcdVersion() string {
	version, _, _ := strings.Cut(r.Etcd, "-")
	return version
}

// images are what `kubeadm config images list` names, without the registry, sorted.
func (r Release) images() []string {
	all := []string{"etcd:" + r.Etcd, "coredns/coredns:" + r.CoreDNS, "pause:" + r.Pause}
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"} {
		all = append(all, program+":v"+r.Version)
	}
	slices.Sort(all)
	return all
}

// bare is a version without v.
func bare(version string) string { return strings.TrimPrefix(version, "v") }
