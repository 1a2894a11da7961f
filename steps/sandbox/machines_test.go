package sandbox

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"upgrader.dev/upgrader/steps/remote"
)

// dial logs in to a machine with nothing but the files of the sandbox's directory.
func dial(t *testing.T, c *Cluster, name string) *ssh.Client {
	t.Helper()
	dir := filepath.Dir(c.Inventory)
	pem, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	known, err := knownhosts.New(filepath.Join(dir, knownHostsFile))
	if err != nil {
		t.Fatal(err)
	}
	client, err := ssh.Dial("tcp", c.Machine(name).Addr().String(), &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: known, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // it may have been cut
	return client
}

func run(t *testing.T, c *ssh.Client, command string) string {
	t.Helper()
	session, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }() // it has ended
	out, err := session.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// The inventory names every machine with its port, group and zone, in the words that upgrader reads; the key opens
// them; and their keys are the known ones.
func TestFiles(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 2}).c
	inventory, err := remote.LoadInventory(c.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	for i, target := range inventory.Targets() {
		if target.Name != c.world.names[i] || target.Labels[zoneLabel] == "" {
			t.Errorf("target %+v", target)
		}
		if want := map[bool]string{true: "control-plane", false: "workers"}[i == 0]; len(target.Groups) != 1 || target.Groups[0] != want {
			t.Errorf("%s is in %v, want %s", target.Name, target.Groups, want)
		}
		_, port, err := net.SplitHostPort(c.Machine(target.Name).Addr().String())
		if err != nil || port == "" {
			t.Error(port, err)
		}
		if got := run(t, dial(t, c, target.Name), "hostname"); got != target.Name {
			t.Errorf("%s calls itself %s", target.Name, got)
		}
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(c.Inventory), keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v: %v", info.Mode(), err)
	}
}

// A kubelet restarted on its machine is what its node reports, under the machine's boot ID; both records are in the
// one file, and the machine's effect comes with no run of ours.
func TestMachineAndNodeAgree(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 1, Workers: 1, Speed: 4})
	host := dial(t, c.c, "w1")
	if boot := run(t, host, "cat /proc/sys/kernel/random/boot_id"); boot != c.node("w1").Status.NodeInfo.BootID {
		t.Errorf("the machine's boot ID is %s, the node's %s", boot, c.node("w1").Status.NodeInfo.BootID)
	}
	before := c.node("w1").ResourceVersion
	run(t, host, "systemctl restart kubelet")
	c.eventually("the node has been reported anew", func() bool { n := c.node("w1"); return n.ResourceVersion != before && isReady(&n) })
	all, err := ReadEffects(c.c.Effects)
	if err != nil || len(all) == 0 || all[0].What != "unit" || all[0].Host != "w1" {
		t.Errorf("effects %+v %v", all, err)
	}
	c.c.Machine("w1").Reboot()
	c.eventually("the node has another boot ID and is ready", func() bool {
		n := c.node("w1")
		return n.Status.NodeInfo.BootID != "" && isReady(&n) && n.ResourceVersion != before && rebootedSince(c, n.Status.NodeInfo.BootID)
	})
}

func rebootedSince(c caller, boot string) bool {
	c.c.world.mu.Lock()
	defer c.c.world.mu.Unlock()
	return c.c.world.hosts["w1"].kubelet.boot == boot && c.c.world.hosts["w1"].kubelet.life > 3
}

// Where faults are asked for connections are cut, and faults.jsonl tells which faults there were.
func TestMachineFaults(t *testing.T) {
	seed := uint64(1) // one whose first fault of the machine w1 cuts its connections
	for (&Faults{Seed: seed, Rate: 1}).next("machine w1", machineFaults...) != faultDrop {
		seed++
	}
	c := begin(t, Options{ControlPlanes: 1, Workers: 1, Faults: &Faults{Seed: seed, Rate: 1}})
	cut := make(chan error, 1)
	client := dial(t, c.c, "w1")
	go func() { cut <- client.Wait() }()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("systemctl daemon-reload"); err != nil { // a change: the machine's first operation
		t.Fatal(err)
	}
	select {
	case <-cut:
	case <-time.After(20 * time.Second):
		t.Fatal("the connection was never cut")
	}
	path := filepath.Join(filepath.Dir(c.c.Effects), faultsFile)
	c.eventually("a fault of the network of w1 is told", func() bool {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var e FaultEvent
			if err := json.Unmarshal(line, &e); err == nil && e.Actor == "network w1" && e.Operation == 1 {
				return true
			}
		}
		return false
	})
}
