package skew

import "testing"

func TestParse(t *testing.T) {
	tests := []struct{ in, want, err string }{
		{"1.28.15", "1.28.15", ""},
		{"v1.28.15", "1.28.15", ""},
		{"1.29.0-rc.1", "1.29.0-rc.1", ""},
		{"v1.27.3+k3s1", "1.27.3", ""},
		{"1.28", "", `"1.28" is not a Kubernetes version: want three numbers, such as 1.28.15`},
		{"", "", `"" is not a Kubernetes version: want three numbers, such as 1.28.15`},
		{"latest", "", `"latest" is not a Kubernetes version: want three numbers, such as 1.28.15`},
		{"1.28.15-1.1", "", `"1.28.15-1.1" is a package revision, not a Kubernetes version: leave out "-1.1"`},
	}
	for _, tt := range tests {
		v, err := Parse(tt.in)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: got %v\nwant %s", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || v.String() != tt.want {
			t.Errorf("%q is %v (%v), want %s", tt.in, v, err, tt.want)
		}
	}
}

// What a component says is judged where it is a version, and told as it was said where it is none: a person has to find it.
func TestReported(t *testing.T) {
	for said, want := range map[string]string{
		"1.28.15": "1.28.15", "v1.27.3-gke.100+dirty": "1.27.3-gke.100", "": "unknown",
		"1.28.x-custom": `"1.28.x-custom", which is no version`, "dev": `"dev", which is no version`,
	} {
		v := Reported(said)
		if _, err := Parse(said); v.String() != want || v.IsZero() != (err != nil) {
			t.Errorf("%q is %s, and not known: %t", said, v, v.IsZero())
		}
	}
	if found := Check(Observed{APIServers: map[string]Version{"cp1": Reported("1.28.15")}, Kubelets: map[string]Version{"w1": Reported("dev")}}); len(found) != 1 ||
		found[0].String() != `kubelet on w1 is "dev", which is no version, want a version that can be read (version-unknown)` {
		t.Errorf("found %v", found)
	}
}

func TestOfRevision(t *testing.T) {
	tests := []struct{ in, want string }{
		{"1.28.15-1.1", "1.28.15"},
		{"1.28.15-150500.1.1", "1.28.15"},
		{"0:1.28.15-2.1", "1.28.15"},
		{"1.22.17-00", "1.22.17"},
		{"1.30.0~rc.1-1.1", "1.30.0-rc.1"},
		{"1.28.15", ""},   // no revision: apt would not find it
		{"1.28-1.1", ""},  // two numbers
		{"1.28.15-*", ""}, // a pattern
		{"v1.28.15-1.1", ""},
		{"1.6.20~ds1-1+b1", ""}, // containerd's
		{"", ""},
	}
	for _, tt := range tests {
		v, err := OfRevision(tt.in)
		if (err == nil) != (tt.want != "") || err == nil && v.String() != tt.want {
			t.Errorf("%q holds %v (%v), want %q", tt.in, v, err, tt.want)
		}
	}
}

// The reason for two types: to semver the revision is older than the version that it holds.
func TestRevisionIsNoPrerelease(t *testing.T) {
	held, err := OfRevision("1.28.15-1.1")
	if err != nil {
		t.Fatal(err)
	}
	if plain := mustParse(t, "1.28.15"); held.Compare(plain) != 0 || held != plain {
		t.Errorf("the version in 1.28.15-1.1 is not 1.28.15: %v", held)
	}
}

func TestAllows(t *testing.T) {
	const from = ">=1.27.0 <1.28.0"
	for v, want := range map[string]bool{"1.27.0": true, "1.27.16": true, "1.26.15": false, "1.28.0": false, "1.28.0-rc.1": false} {
		if got, err := Allows(from, mustParse(t, v)); err != nil || got != want {
			t.Errorf("%s allows %s: %v (%v)", from, v, got, err)
		}
	}
	if _, err := Allows("about 1.27", Version{}); err == nil {
		t.Error("a constraint that cannot be read is no error")
	}
}

func TestOrder(t *testing.T) {
	order := []string{"1.9.11", "1.27.3", "1.27.16", "1.28.0-alpha.1", "1.28.0-rc.1", "1.28.0", "1.28.15"}
	for i, a := range order {
		for j, b := range order {
			if got := mustParse(t, a).Compare(mustParse(t, b)); sign(got) != sign(i-j) {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
}

func sign(i int) int { return max(-1, min(1, i)) }

func mustParse(t *testing.T, s string) Version {
	t.Helper()
	v, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
