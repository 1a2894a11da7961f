package journal

import (
	"os"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // with a looser one, the directories that tests make are refused as anybody's would be
	os.Exit(m.Run())
}
