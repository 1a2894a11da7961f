package node

import "testing"

// FuzzPulse proves that no answer about boot and kubelet breaks who reads it.
func FuzzPulse(f *testing.F) {
	f.Add("boot 1-2\nnow 1700000000\nLoadState=loaded\nActiveState=active\nExecMainStartTimestamp=Fri 2026-11-20 12:00:00 UTC\n")
	f.Add("boot\nnow\n=\n")
	f.Fuzz(func(t *testing.T, stdout string) { _, _ = parsePulse(stdout) })
}
