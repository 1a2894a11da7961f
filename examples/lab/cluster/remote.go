//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/examples/lab/build"
)

// bootWithin is how long a host may take until sshd answers; 2 to 3 s are usual, on a machine that builds beside it 20.
const bootWithin = 2 * time.Minute

// SSH logs in to a host over the network and runs a command there, or a shell if there is none.
func (l *Lab) SSH(ctx context.Context, name string, command ...string) *exec.Cmd {
	args := []string{
		"-F", "none", "-i", l.Key(), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + l.KnownHosts(), "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
		"-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=10", "-o", "LogLevel=ERROR",
		"root@" + l.Address(name),
	}
	return exec.CommandContext(ctx, "ssh", append(args, command...)...)
}

// Kubectl is the kubectl of the version that the lab was made with, as the cluster's administrator.
func (l *Lab) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.cache.Kubernetes(l.Version, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+l.Kubeconfig())
	return cmd
}

// output runs a command and returns what it printed, or its complaint.
func output(cmd *exec.Cmd) (string, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLines(complaint.String(), 3))
	}
	return strings.TrimSpace(string(out)), nil
}

// logged runs a command, its output appended to a log, the end of which explains a failure.
func (l *Lab) logged(cmd *exec.Cmd, log string) error {
	out, err := os.OpenFile(l.log(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening a log: %w", err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := errors.Join(cmd.Run(), out.Close()); err != nil {
		return fmt.Errorf("%w\n%s\nall of it: %s", err, l.tail(log, 6), l.log(log))
	}
	return nil
}

func (l *Lab) tail(log string, lines int) string {
	data, err := os.ReadFile(l.log(log))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(data), lines)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// makeKey makes the key pair that the hosts let in.
func (l *Lab) makeKey(ctx context.Context) error {
	if _, err := os.Lstat(l.Key() + ".pub"); err == nil {
		return nil
	}
	if err := os.RemoveAll(l.Key()); err != nil { // half of one, and ssh-keygen would ask
		return fmt.Errorf("making the lab's key: %w", err)
	}
	return run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab "+l.Name, "-f", l.Key())
}

// meet writes down the real keys of the hosts, read where the network cannot forge them, and waits until they let us in.
func (l *Lab) meet(ctx context.Context, names []string) error {
	keys := make([]string, len(names))
	err := parallel(names, func(i int, name string) error {
		h, err := l.Host(name)
		if err != nil {
			return err
		}
		return until(ctx, bootWithin, 200*time.Millisecond, func(ctx context.Context) error {
			key, err := output(h.Command(ctx, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
			if err != nil {
				return fmt.Errorf("%s has no host key yet: %w", name, err)
			}
			fields := strings.Fields(key)
			if len(fields) < 2 {
				return fmt.Errorf("%s has an empty host key", name)
			}
			keys[i] = fmt.Sprintf("%s,%s %s %s\n", name, l.Address(name), fields[0], fields[1])
			return nil
		})
	})
	if err != nil {
		return err
	}
	if err := replace(l.KnownHosts(), []byte(strings.Join(keys, "")), 0o644); err != nil {
		return err
	}
	return parallel(names, func(_ int, name string) error {
		return until(ctx, bootWithin, 200*time.Millisecond, func(ctx context.Context) error {
			if _, err := output(l.SSH(ctx, name, "true")); err != nil {
				return fmt.Errorf("%s does not answer ssh: %w", name, err)
			}
			return nil
		})
	})
}

// install brings the packages of a release onto a host.
func (l *Lab) install(ctx context.Context, name string, r build.Release) error {
	script, err := filesFS.ReadFile("files/install.sh")
	if err != nil {
		return fmt.Errorf("reading the installation script: %w", err)
	}
	cmd := l.SSH(ctx, name, "MINOR="+r.Minor(), "REVISION="+r.Revision(), "sh")
	cmd.Stdin = bytes.NewReader(script)
	if err := l.logged(cmd, "install-"+name); err != nil {
		return fmt.Errorf("installing Kubernetes %s on %s: %w", r.Version, name, err)
	}
	return nil
}

// parallel does the same for every name at once and returns all that went wrong.
func parallel(names []string, do func(int, string) error) error {
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { errs[i] = do(i, name) })
	}
	all.Wait()
	return errors.Join(errs...)
}
