package systemd

import (
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// FuzzUnit proves that no answer of systemctl breaks who reads it.
func FuzzUnit(f *testing.F) {
	f.Add("LoadState=loaded\nActiveState=active\nSubState=running\nExecMainStartTimestamp=Fri 2026-11-20 12:00:00 UTC\nNeedDaemonReload=no\n")
	f.Add("=\n==\nfile\nprogram\nsays\n")
	f.Fuzz(func(t *testing.T, stdout string) {
		u, err := parse(printable.Text(stdout))
		if err != nil {
			return
		}
		said := []any{u, u.stale()}
		if u.busy() {
			said = append(said, u.words())
		}
		hostile.Check(t, said, 0)
	})
}

func TestReadingAUnitCostsInProportion(t *testing.T) {
	for _, line := range []string{"A=b\n", "says x\n", "file x\n", "x\n"} {
		hostile.InProportion(t, line, func(text string) { _, _ = parse(text) })
	}
}
