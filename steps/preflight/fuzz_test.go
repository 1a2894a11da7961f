package preflight

import (
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// FuzzSettings proves that no file of flags and no YAML of a cluster breaks who looks for settings in it, and that nothing
// comes back hostile that was clean before it was decoded.
func FuzzSettings(f *testing.F) {
	f.Add("KUBELET_KUBEADM_ARGS=\"--container-runtime=remote --feature-gates=A=true,B=false\"\n# --commented\n")
	f.Add("featureGates: {A: true}\napiServer:\n  extraArgs:\n    audit-log-path: \"\\e]52;c;eA==\\a\\x9b\"\n")
	f.Add("apiServer: {extraArgs: [{name: \"a\\u202e\", value: [1, {b: c}]}]}\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		text = printable.Text(text) // as it was read
		scalar, _ := scalarOf(text, "apiServer", "certSANs")
		said := []any{flagsIn(text), extraArgs(text, "apiServer"), gatesOf(text, setting{}), scalar, flatten(tree(text))}
		hostile.Check(t, said, 0)
	})
}

func TestReadingSettingsCostsInProportion(t *testing.T) {
	for _, line := range []string{"--flag=value\n", "-- \n", "\"\n", "KUBELET=--a --b --c\n"} {
		hostile.InProportion(t, line, func(text string) { flagsIn(text) })
	}
	for _, part := range []string{"- a\n", "{", "[", "a: {b: c}\n", "? a\n", "\"", "- &a b\n"} {
		hostile.InProportion(t, strings.Repeat(part, 10), func(text string) { tree(text) })
	}
}
