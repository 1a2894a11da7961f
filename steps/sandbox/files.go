package sandbox

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// The files of a sandbox's directory.
const (
	inventoryFile  = "inventory.yaml"
	kubeconfigFile = "kubeconfig"
	keyFile        = "id_ed25519"
	knownHostsFile = "known_hosts"
	effectsFile    = "effects.jsonl"
	faultsFile     = "faults.jsonl"
)

// login makes the key pair that opens every machine and writes its private half.
func login(dir string) (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the sandbox's SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "upgrader sandbox")
	if err != nil {
		return nil, fmt.Errorf("making the sandbox's SSH key: %w", err)
	}
	if err := write(dir, keyFile, pem.EncodeToMemory(block)); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(public)
}

// writeKnownHosts pins the key of every machine, as somebody would who has seen the machines' consoles.
func writeKnownHosts(dir string, machines []*machine.Machine) error {
	var b bytes.Buffer
	for _, m := range machines {
		host, port, err := net.SplitHostPort(m.Addr().String())
		if err != nil {
			return fmt.Errorf("the address of %s: %w", m.Name(), err)
		}
		fmt.Fprintf(&b, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(m.HostKey()))
	}
	return write(dir, knownHostsFile, b.Bytes())
}

// writeInventory lists the machines as an operator would. `config: none` keeps the operator's own ssh configuration
// out of the sandbox.
func writeInventory(dir string, w *world, machines []*machine.Machine) error {
	var b strings.Builder
	b.WriteString(`# Written by the sandbox; the hosts are there as long as it runs.
apiVersion: upgrader.dev/v1
kind: Inventory
ssh:
  user: root
  identityFile: ` + keyFile + `
  knownHosts: ` + knownHostsFile + `
  sudo: auto
  config: none
hosts:
`)
	for _, m := range machines {
		host, port, err := net.SplitHostPort(m.Addr().String())
		if err != nil {
			return fmt.Errorf("the address of %s: %w", m.Name(), err)
		}
		group := "workers"
		if w.hosts[m.Name()].control {
			group = "control-plane"
		}
		fmt.Fprintf(&b, "  - {name: %s, address: %s, port: %s, groups: [%s], labels: {%s: %s}}\n",
			m.Name(), host, port, group, zoneLabel, w.node(m.Name()).Labels[zoneLabel])
	}
	return write(dir, inventoryFile, []byte(b.String()))
}

// writeKubeconfig writes what /etc/kubernetes/admin.conf is in a real cluster. JSON is YAML.
func writeKubeconfig(dir, server string, p *pki) error {
	cert, key, err := p.admin()
	if err != nil {
		return err
	}
	type m = map[string]any
	b64 := base64.StdEncoding.EncodeToString
	config, err := json.MarshalIndent(m{
		"apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
		"clusters": []m{{"name": "sandbox", "cluster": m{"server": server, "certificate-authority-data": b64(p.Kubernetes.PEM())}}},
		"users":    []m{{"name": "kubernetes-admin", "user": m{"client-certificate-data": b64(cert), "client-key-data": b64(key)}}},
		"contexts": []m{{"name": "sandbox", "context": m{"cluster": "sandbox", "user": "kubernetes-admin"}}},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the sandbox's kubeconfig: %w", err)
	}
	return write(dir, kubeconfigFile, append(config, '\n'))
}

// write replaces a file as a whole, so that whoever waits for it never reads half of it.
func write(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing the sandbox's files: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the sandbox's files: %w", err)
	}
	return nil
}
