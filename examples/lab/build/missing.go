//go:build linux

package build

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
)

// Missing tells of all the commands that a build needs and this machine lacks, and what brings them; nil if there are none.
func Missing() error {
	return missing(func(command string) bool {
		_, err := exec.LookPath(command)
		return err == nil
	})
}

func missing(have func(command string) bool) error {
	var commands, packages []string
	for _, need := range []struct{ command, pkg string }{
		{"debootstrap", "debootstrap"},
		{"dpkg-deb", "dpkg"},
		{"apt-ftparchive", "apt-utils"},
		{"gpg", "gnupg"},
		{"gpgconf", "gnupg"},
	} {
		if !have(need.command) {
			commands, packages = append(commands, need.command), append(packages, need.pkg)
		}
	}
	var errs []error
	if !have("go") {
		errs = append(errs, errors.New("building the lab needs go: install it as https://go.dev/doc/install says"))
	}
	if len(commands) > 0 {
		errs = append(errs, errors.New("building the lab needs "+strings.Join(commands, ", ")+
			": run `apt-get install "+strings.Join(slices.Compact(packages), " ")+"`"))
	}
	return errors.Join(errs...)
}
