// Package skew is the version policy of Kubernetes as pure functions: what a version is, what a package revision is,
// and which versions may run beside each other. It is the only importer of Masterminds/semver and imports nothing of
// this program.
//
// A Version is compared; a package revision never is. To semver the apt revision 1.28.15-1.1 is a prerelease below
// 1.28.15, so the two are different types and OfRevision is the one crossing between them.
package skew

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// A Version is a version of Kubernetes, such as 1.28.15 or 1.29.0-rc.1. The zero Version means "not known". Versions
// can be compared with == and used as keys of maps.
type Version struct {
	major, minor, patch uint64
	pre                 string
	said                string // in place of a version, by what cannot be read; see Reported
}

// Parse reads "1.28.15" or "v1.28.15". All three numbers are needed, and a package revision is refused with a hint.
func Parse(s string) (Version, error) {
	sv, err := semver.StrictNewVersion(strings.TrimPrefix(s, "v"))
	if err != nil {
		return Version{}, fmt.Errorf("%q is not a Kubernetes version: want three numbers, such as 1.28.15", s)
	}
	if looksLikeRevision(sv.Prerelease()) {
		return Version{}, fmt.Errorf("%q is a package revision, not a Kubernetes version: leave out %q", s, "-"+sv.Prerelease())
	}
	return Version{major: sv.Major(), minor: sv.Minor(), patch: sv.Patch(), pre: sv.Prerelease()}, nil
}

// Reported is the version that a component says it has. One that cannot be read is not known, and its String quotes what
// was said: vendors and people who build for themselves write "1.28.x-custom" and "dev".
func Reported(s string) Version {
	v, err := Parse(s)
	if err != nil {
		return Version{said: s}
	}
	return v
}

// looksLikeRevision tells the -1.1 or -150500.1.1 of a package from the -rc.1 of a prerelease: Kubernetes' prereleases
// begin with a letter.
func looksLikeRevision(pre string) bool { return pre != "" && pre[0] >= '0' && pre[0] <= '9' }

// Major returns the 1 of 1.28.15.
func (v Version) Major() uint64 { return v.major }

// Minor returns the 28 of 1.28.15.
func (v Version) Minor() uint64 { return v.minor }

// Line returns the minor version that it belongs to, "1.28", which is also the name of its package repository.
func (v Version) Line() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// Prerelease tells whether it is an alpha, a beta or a release candidate.
func (v Version) Prerelease() bool { return v.pre != "" }

// IsZero tells whether the version is not known.
func (v Version) IsZero() bool { return v == Version{said: v.said} }

// String returns "1.28.15", without a v; of a Version that is not known "unknown", or what was said instead of one.
func (v Version) String() string {
	switch {
	case v.said != "":
		return fmt.Sprintf("%q, which is no version", v.said)
	case v.IsZero():
		return "unknown"
	}
	s := fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	if v.pre != "" {
		s += "-" + v.pre
	}
	return s
}

// Compare returns -1, 0 or 1 as v is older than, the same as or newer than w. A prerelease is older than its release.
func (v Version) Compare(w Version) int { return v.numbers().compare(w.numbers()) }

func (v Version) numbers() tag { return tag{v.major, v.minor, v.patch, v.pre} }

func (v Version) semver() *semver.Version {
	return semver.New(v.major, v.minor, v.patch, v.pre, "")
}

// A Revision is the exact version of a package: Debian's 1.28.15-1.1 or RPM's 1.28.15-150500.1.1. It is only ever
// compared for equality here.
type Revision string

// revisionForm has an epoch, three numbers, Debian's ~rc.1 for a prerelease, and the packager's own number.
var revisionForm = regexp.MustCompile(`^(?:[0-9]+:)?([0-9]+\.[0-9]+\.[0-9]+)(?:[~-]((?:alpha|beta|rc)\.[0-9]+))?-[0-9][0-9A-Za-z.+~]*$`)

// OfRevision returns the version of Kubernetes that a package of this revision holds. It is the one place where a
// revision becomes a version.
func OfRevision(rev string) (Version, error) {
	m := revisionForm.FindStringSubmatch(rev)
	if m == nil {
		return Version{}, fmt.Errorf("%q is not the revision of a Kubernetes package: want one such as 1.28.15-1.1, as apt-cache madison prints it", rev)
	}
	if m[2] != "" {
		return Parse(m[1] + "-" + m[2])
	}
	return Parse(m[1])
}

// Allows tells whether the constraint, such as ">=1.27.0 <1.28.0", holds for v. A constraint that cannot be read is an
// error. Prereleases are allowed only by constraints that name one.
func Allows(constraint string, v Version) (bool, error) {
	c, err := semver.NewConstraint(constraint)
	if err != nil {
		return false, fmt.Errorf("%q is not a version constraint: want one such as \">=1.27.0 <1.28.0\"", constraint)
	}
	return c.Check(v.semver()), nil
}
