package skew

import (
	"strings"

	"github.com/Masterminds/semver/v3"
)

// OlderRelease tells whether one release of a program that is not Kubernetes, such as containerd or etcd, is older than
// another: "1.6.20~ds1" than "1.7". What follows a ~ or a + is the packager's. A version that cannot be read is older than
// nothing.
func OlderRelease(version, than string) bool {
	a, errA := semver.NewVersion(upstream(version))
	b, errB := semver.NewVersion(upstream(than))
	return errA == nil && errB == nil && a.LessThan(b)
}

func upstream(version string) string {
	version, _, _ = strings.Cut(version, "~")
	version, _, _ = strings.Cut(version, "+")
	return strings.TrimPrefix(version, "v")
}
