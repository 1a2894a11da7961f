package corefile_test

import (
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/corefile"
)

// FuzzTroubles proves that no Corefile breaks the library that reads it.
func FuzzTroubles(f *testing.F) {
	f.Add(asKubeadmWritesIt)
	f.Add(". {\n{\n}\n")
	f.Add("import x\n(a) {\n}\n\"")
	f.Fuzz(func(t *testing.T, text string) { _ = corefile.Troubles(text, "1.10.1", "1.11.1") })
}

func TestACorefileCostsInProportion(t *testing.T) {
	for _, line := range []string{"    errors\n", "# comment\n", ". {\n}\n", strings.Repeat("x ", 20) + "\n"} {
		hostile.InProportion(t, line, func(text string) { _ = corefile.Troubles(".:53 {\n"+text+"}\n", "1.10.1", "1.11.1") })
	}
}
