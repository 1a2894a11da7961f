package skew

import "testing"

func TestParseEtcd(t *testing.T) {
	for in, want := range map[string]string{
		"3.5.12-0": "3.5.12-0", "v3.5.9": "3.5.9", "3.5.12": "3.5.12", "3.4.13-4": "3.4.13-4",
		"3.5.9_mine": "3.5.9", // kubeadm takes an underscore for the plus of semver
		"3.5":        "", "latest": "", "": "",
	} {
		v, err := ParseEtcd(in)
		if (err == nil) != (want != "") || err == nil && v.String() != want {
			t.Errorf("%q is %v (%v), want %q", in, v, err, want)
		}
		if err != nil && (!v.IsZero() || v.String() != "unknown") {
			t.Errorf("%q is no version, and yet %v", in, v)
		}
	}
}

func TestParseCoreDNS(t *testing.T) {
	for in, want := range map[string]string{"v1.10.1": "1.10.1", "1.7.0": "1.7.0", "v1.8.4-build.2": "1.8.4-build.2", "1.10": "", "sha": ""} {
		v, err := ParseCoreDNS(in)
		if (err == nil) != (want != "") || err == nil && v.String() != want {
			t.Errorf("%q is %v (%v), want %q", in, v, err, want)
		}
	}
}

// The reason for a type of its own: to a version of Kubernetes the -0 of an image's build is a prerelease, below 3.5.12.
func TestTheBuildOfAnEtcdImageIsNoPrerelease(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"3.5.12-0", "3.5.12", 0}, {"3.5.12", "3.5.12-7", 0}, {"3.5.12-0", "3.5.12-0", 0},
		{"3.4.13-4", "3.4.13-10", -1}, {"3.5.9-0", "3.5.10-0", -1}, {"3.6.0-0", "3.5.24-0", 1}, {"4.0.0-0", "3.9.9-0", 1},
	} {
		a, b := mustEtcd(t, tt.a), mustEtcd(t, tt.b)
		if a.Compare(b) != tt.want || b.Compare(a) != -tt.want {
			t.Errorf("%s against %s: %d and %d, want %d", a, b, a.Compare(b), b.Compare(a), tt.want)
		}
	}
	if line := mustEtcd(t, "3.5.12-0").Line(); line != "3.5" {
		t.Error(line)
	}
}

func mustEtcd(t *testing.T, s string) EtcdVersion {
	t.Helper()
	v, err := ParseEtcd(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustCoreDNS(t *testing.T, s string) CoreDNSVersion {
	t.Helper()
	v, err := ParseCoreDNS(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
