package skew

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// An EtcdVersion is a version of etcd, as the tag of its image (3.5.12-0) or a member itself (3.5.12) tells it. It is
// never a version of Kubernetes: the -0 is the number of the image's build and not a prerelease. The zero EtcdVersion
// means "not known".
type EtcdVersion struct{ tag }

// ParseEtcd reads "3.5.12-0", "3.5.12" or "v3.5.12". What kubeadm could not compare (phases/upgrade/staticpods.go,
// convertImageTagMetadataToSemver) is an error.
func ParseEtcd(s string) (EtcdVersion, error) {
	t, err := parseTag("etcd", s)
	return EtcdVersion{t}, err
}

// Compare returns -1, 0 or 1 as v is older than, the same as or newer than w. The builds count only where both have
// one: 3.5.12 is the same as any build of it.
func (v EtcdVersion) Compare(w EtcdVersion) int {
	if v.pre == "" || w.pre == "" {
		v.pre, w.pre = "", ""
	}
	return v.compare(w.tag)
}

// A CoreDNSVersion is a version of CoreDNS, as the tag of its image tells it. The zero CoreDNSVersion means "not known".
type CoreDNSVersion struct{ tag }

// ParseCoreDNS reads "v1.10.1" or "1.10.1".
func ParseCoreDNS(s string) (CoreDNSVersion, error) {
	t, err := parseTag("CoreDNS", s)
	return CoreDNSVersion{t}, err
}

// Compare returns -1, 0 or 1 as v is older than, the same as or newer than w.
func (v CoreDNSVersion) Compare(w CoreDNSVersion) int { return v.compare(w.tag) }

// A tag is what all versions have in common: three numbers, and perhaps more behind a dash.
type tag struct {
	major, minor, patch uint64
	pre                 string
}

func parseTag(of, s string) (tag, error) {
	sv, err := semver.StrictNewVersion(strings.Replace(strings.TrimPrefix(s, "v"), "_", "+", 1))
	if err != nil {
		return tag{}, fmt.Errorf("%q is not a version of %s: want three numbers, such as 3.5.12-0 or v1.10.1", s, of)
	}
	return tag{sv.Major(), sv.Minor(), sv.Patch(), sv.Prerelease()}, nil
}

// Line returns the minor version that it belongs to, such as "3.5".
func (t tag) Line() string { return fmt.Sprintf("%d.%d", t.major, t.minor) }

// IsZero tells whether the version is not known.
func (t tag) IsZero() bool { return t == tag{} }

// String returns "3.5.12-0", without a v, or "unknown" for the zero version.
func (t tag) String() string {
	if t.IsZero() {
		return "unknown"
	}
	s := fmt.Sprintf("%d.%d.%d", t.major, t.minor, t.patch)
	if t.pre != "" {
		s += "-" + t.pre
	}
	return s
}

func (t tag) line() int { return int(t.major)*1000 + int(t.minor) } //nolint:gosec // versions are small numbers

func (t tag) compare(u tag) int {
	c := cmp.Or(cmp.Compare(t.major, u.major), cmp.Compare(t.minor, u.minor), cmp.Compare(t.patch, u.patch))
	if c != 0 || t.pre == u.pre {
		return c
	}
	return semver.New(0, 0, 0, t.pre, "").Compare(semver.New(0, 0, 0, u.pre, ""))
}
