package remote

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestSudoersExample proves that examples/sudoers is what sudo takes, with either rule, and allows the command lines that
// are sent, with a password and without.
func TestSudoersExample(t *testing.T) {
	text, err := os.ReadFile("../../examples/sudoers")
	if err != nil {
		t.Fatal(err)
	}
	const asking = "\n# upgrader ALL=(root) PASSWD: /bin/sh\n"
	for _, way := range []struct{ command, asks, rule string }{
		{sudoQuiet, "exec sudo -n ", "\nupgrader ALL=(root) NOPASSWD: /bin/sh\n"},
		{sudoPrompts, "-password ", asking},
	} {
		_, asked, _ := strings.Cut(way.command, way.asks)
		if !strings.HasPrefix(asked, "/bin/sh ") || !strings.Contains(string(text), way.rule) {
			t.Errorf("no rule of examples/sudoers allows %q", way.command)
		}
	}
	both := strings.Replace(string(text), asking, strings.Replace(asking, "# ", "", 1), 1)
	visudo := "/usr/sbin/visudo" // which is not in everybody's PATH
	if _, err := os.Stat(visudo); err != nil {
		t.Skip(err)
	}
	for _, rules := range []string{string(text), both} {
		cmd := exec.CommandContext(t.Context(), visudo, "-cf", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("visudo: %v\n%s\n%s", err, out, rules)
		}
	}
}
