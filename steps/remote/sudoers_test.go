package remote

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestSudoersExample proves that examples/sudoers is what sudo takes, with either rule, and allows the command lines that
// are sent: one without arguments, and one with them.
func TestSudoersExample(t *testing.T) {
	text, err := os.ReadFile("../../examples/sudoers")
	if err != nil {
		t.Fatal(err)
	}
	quiet, ok := strings.CutPrefix(sudoQuiet, "sudo -n ")
	if !ok || !strings.Contains(string(text), "\nupgrader ALL=(root) NOPASSWD: "+quiet+" \"\"\n") {
		t.Errorf("no rule of examples/sudoers allows %q and nothing else", sudoQuiet)
	}
	_, prompted, _ := strings.Cut(sudoPrompts, "-password ")
	program, _, _ := strings.Cut(prompted, " ")
	asking := "\n# upgrader ALL=(root) PASSWD: " + program + "\n"
	if !strings.Contains(string(text), asking) {
		t.Errorf("no rule of examples/sudoers allows %q", sudoPrompts)
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
