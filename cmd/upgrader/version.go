package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			writeLine(c.out, fmt.Sprintf("upgrader %s (%s, %s/%s)", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
			return nil
		},
	}
}

// release is the version of a released program; the linker sets it, see .ci/dist.
var release string //nolint:gochecknoglobals // the linker sets nothing else

// programVersion is the version that was released, or what the Go toolchain stamped into the program: the module's
// version, or the commit.
func programVersion() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if len(commit) < 12 {
		return "devel"
	}
	if settings["vcs.modified"] == "true" {
		return "devel-" + commit[:12] + "-modified"
	}
	return "devel-" + commit[:12]
}
