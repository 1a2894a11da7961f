package knowledge

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The figures of some minors as their sources have them (cmd/kubeadm/app/constants/constants.go of the patch release).
func TestFloor(t *testing.T) {
	b := load(t)
	type row struct{ Etcd, External, Required, Recommended, CoreDNS, Pause, Config, Cgroup, Kubelet string }
	for target, want := range map[Minor]row{
		28: {"3.5.15-0", "3.4.13-4", "", "", "v1.10.1", "3.9", "v1beta3", "supported", "1.27"},
		29: {"3.5.16-0", "3.4.13-4", "", "", "v1.11.1", "3.9", "v1beta3", "supported", "1.26"},
		31: {"3.5.24-0", "3.5.24-0", "", "", "v1.11.3", "3.10", "v1beta4", "maintenance", "1.28"},
		34: {"3.6.5-0", "3.5.24-0", "3.5.20", "3.5.26", "v1.12.1", "3.10.1", "v1beta4", "maintenance", "1.31"},
		37: {"3.7.0-0", "3.5.24-0", "3.6.11", "3.6.11", "v1.14.6", "3.10.2", "v1beta4", "refused", "1.34"},
	} {
		f, ok := b.Floor(target)
		got := row{
			f.Etcd.Tag, f.Etcd.OldestExternal, f.Etcd.RunningRequired, f.Etcd.RunningRecommended, f.CoreDNS, f.Pause, f.Config.Stored, f.CgroupV1,
			f.OldestKubelet.String(),
		}
		if d := cmp.Diff(want, got); !ok || d != "" {
			t.Errorf("%s: %t (-want +got):\n%s", target, ok, d)
		}
	}
	if f, ok := b.Floor(newest + 1); ok {
		t.Errorf("nothing is known of %s: %v", newest+1, f)
	}
}

// What is stored by one kubeadm is read by the next, and every version is written so that it can be compared.
func TestFloorsFollowEachOther(t *testing.T) {
	b := load(t)
	tag, version := regexp.MustCompile(`^\d+\.\d+\.\d+-\d+$`), regexp.MustCompile(`^(\d+\.\d+\.\d+)?$`)
	for m := oldest; m <= newest; m++ {
		last, _ := b.Floor(m - 1)
		f, _ := b.Floor(m)
		if !slices.Contains(f.Config.Readable, last.Config.Stored) || !slices.Contains(f.Config.Readable, f.Config.Stored) {
			t.Errorf("%s cannot read %s of %s", m, last.Config.Stored, m-1)
		}
		if f.OldestKubelet < last.OldestKubelet && m != 29 || f.OldestKubelet >= m {
			t.Errorf("%s accepts kubelets from %s on", m, f.OldestKubelet)
		}
		if !tag.MatchString(f.Etcd.Tag) {
			t.Errorf("%s: etcd %q", m, f.Etcd.Tag)
		}
		for _, v := range append([]string{f.Patch, f.Etcd.OldestPinned, f.Etcd.RunningRequired, f.Etcd.RunningRecommended, f.Containerd.Minimum}, f.Containerd.Recommended...) {
			if !version.MatchString(v) {
				t.Errorf("%s: %q is not a version", m, v)
			}
		}
		if f.Containerd.CRIv1Only != (m >= 26) || (f.Containerd.Minimum != "") != (m >= 26) {
			t.Errorf("%s: CRI v1 alone is spoken since 1.26, and containerd speaks it since 1.6", m)
		}
	}
}

// Kernels of well-known distributions, and what kubeadm makes of them.
func TestKernelAccepts(t *testing.T) {
	b := load(t)
	for release, from := range map[string]map[Minor]bool{
		"3.10.0-1160.el7.x86_64":      {31: true, 32: false, 33: false, 34: false},
		"4.18.0-553.el8_10.x86_64":    {31: true, 32: false, 33: false, 34: false},
		"5.4.0-190-generic":           {31: true, 33: true, 34: true, 37: true},
		"5.14.0-503.el9.x86_64":       {31: true, 33: true, 34: false, 37: false},
		"5.15.0-119-generic":          {31: true, 33: true, 34: true, 37: true},
		"6.8.0-45-generic":            {31: true, 33: true, 34: true, 37: true},
		"2.6.32-754.el6.x86_64":       {25: false},
		"10.1.0-1.el12.x86_64":        {25: true, 37: true},
		"4.19.0-27-amd64":             {32: true, 33: true, 34: false},
		"4.20.17-042017-generic":      {33: true},
		"5.10.0-32-amd64":             {34: true},
		"6.1.0-25-amd64":              {34: true},
		"4.4.302-st-v1":               {31: true, 33: false},
		"5.15.153.1-microsoft-wsl2":   {36: true},
		"not a kernel, but something": {25: false, 37: false},
	} {
		for target, want := range from {
			f, _ := b.Floor(target)
			if got := f.Kernel.Accepts(release); got != want {
				t.Errorf("%s with %s: %t", release, target, got)
			}
		}
	}
	if f, _ := b.Floor(33); f.Kernel.Severity != "blocker" || f.Kernel.CheckedBy != "upgrade" {
		t.Error("the upgrade to 1.33 ends at an old kernel")
	}
	if f, _ := b.Floor(34); f.Kernel.Severity != "warning" {
		t.Error("from 1.34 on an old kernel is a warning")
	}
}

func TestRepository(t *testing.T) {
	r := load(t).Repository
	if k := r.ExpiredKeys[0]; k.ID != "234654DA9A296436" || k.Expired != "2024-11-02" || k.From != 24 || k.To != 27 {
		t.Errorf("got %+v", k)
	}
	if l := r.Legacy[0]; !slices.Contains(l.Hosts, "apt.kubernetes.io") || !slices.Contains(l.Hosts, "yum.kubernetes.io") || l.Removed != "2024-03-04" {
		t.Errorf("got %+v", l)
	}
}
