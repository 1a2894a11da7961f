package ssh

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Pipelining, no facts, every host at once and none waiting for another: ansible at its fastest.
const ansibleConfig = `[defaults]
strategy = free
forks = %d
gathering = explicit
host_key_checking = true
retry_files_enabled = false
stdout_callback = minimal
[ssh_connection]
pipelining = true
control_path_dir = %s
ssh_args = -C -o ControlMaster=auto -o ControlPersist=60s -o HostName=%s -o Port=%s -o UserKnownHostsFile=%s -o HostKeyAlias=bench
`

// ansible runs the same steps as the tasks of one play.
func ansible(b *testing.B, s server, state, text string) {
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		b.Skip("this column wants ansible: apt-get install ansible-core")
	}
	// A control socket's path must be short.
	sockets, err := os.MkdirTemp("/tmp", "cp-")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(sockets) }()
	if err := os.MkdirAll(state, 0o700); err != nil {
		b.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(s.addr)
	write(b, filepath.Join(state, "ansible.cfg"), fmt.Sprintf(ansibleConfig, hosts, sockets, host, port, filepath.Join(s.dir, "known_hosts")))
	var inventory, play strings.Builder
	for i := range hosts {
		fmt.Fprintf(&inventory, "%s ansible_user=%s ansible_ssh_private_key_file=%s ansible_python_interpreter=/usr/bin/python3\n",
			name(i), s.user, filepath.Join(s.dir, "id"))
	}
	play.WriteString("- hosts: all\n  tasks:\n")
	for range steps {
		fmt.Fprintf(&play, "    - shell: %q\n", text)
	}
	write(b, filepath.Join(state, "hosts"), inventory.String())
	write(b, filepath.Join(state, "play.yaml"), play.String())
	cmd := exec.CommandContext(b.Context(), program, "-i", "hosts", "play.yaml")
	cmd.Dir, cmd.Env = state, append(os.Environ(), "ANSIBLE_CONFIG="+filepath.Join(state, "ansible.cfg"))
	out, err := cmd.CombinedOutput()
	if got := strings.Count(string(out), "rc=0"); err != nil || got != hosts*steps {
		b.Fatalf("%v, %d of %d steps\n%.4000s", err, got, hosts*steps, out)
	}
}
