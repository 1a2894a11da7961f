//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/examples/lab/build"
)

// inCluster is there once kubeadm has finished on a host: the files that it writes itself are there long before.
const inCluster = "/root/kubeadm.done"

// readyWithin is how long the cluster may take to become what it says: a control plane that lost its power needs 80 s.
const readyWithin = 5 * time.Minute

// A joining is what a host needs to know to join.
type joining struct {
	Token          string
	CAHash         string
	CertificateKey string // for control planes
}

// kubeadmFile is what the configuration of `kubeadm init`, or with Join of `kubeadm join`, is made from.
type kubeadmFile struct {
	Version  string
	Address  string // of the host
	API      string
	Pods     string
	Services string
	Join     *joining
}

func (p Plan) kubeadmConfig(name, version string, j *joining) ([]byte, error) {
	return fill("kubeadm.yaml", kubeadmFile{
		Version: version, Address: p.Address(name), API: p.at(apiPort), Pods: podNetwork, Services: serviceNetwork, Join: j,
	})
}

// kubeadm runs init or join on a host with a configuration of its own.
func (l *Lab) kubeadm(ctx context.Context, name, verb, flags string, config []byte) error {
	script, err := filesFS.ReadFile("files/kubeadm.sh")
	if err != nil {
		return fmt.Errorf("reading the script for kubeadm: %w", err)
	}
	cmd := l.SSH(ctx, name, fmt.Sprintf("VERB=%s FLAGS=%q DONE=%s\n%s", verb, flags, inCluster, script))
	cmd.Stdin = bytes.NewReader(config)
	if err := l.logged(cmd, verb+"-"+name); err != nil {
		return fmt.Errorf("kubeadm %s on %s: %w", verb, name, err)
	}
	return nil
}

// joined asks whether a host is in the cluster.
func (l *Lab) joined(ctx context.Context, name string) (bool, error) {
	answer, err := output(l.SSH(ctx, name, "test -e "+inCluster+" && echo yes || echo no"))
	if err != nil {
		return false, fmt.Errorf("asking %s whether it is in the cluster: %w", name, err)
	}
	return answer == "yes", nil
}

// initialize makes the cluster on the first control plane.
func (l *Lab) initialize(ctx context.Context) error {
	config, err := l.kubeadmConfig(first, l.Version, nil)
	if err != nil {
		return err
	}
	return l.kubeadm(ctx, first, "init", "--upload-certs --skip-token-print", config)
}

// join adds a host to the cluster.
func (l *Lab) join(ctx context.Context, name, version string) error {
	j, err := l.joining(ctx, isControlPlane(name))
	if err != nil {
		return err
	}
	config, err := l.kubeadmConfig(name, version, j)
	if err != nil {
		return err
	}
	return l.kubeadm(ctx, name, "join", "", config)
}

// joining asks the first control plane for a token of one's own.
func (l *Lab) joining(ctx context.Context, controlPlane bool) (*joining, error) {
	line, err := output(l.SSH(ctx, first, "kubeadm token create --ttl 30m --print-join-command"))
	if err != nil {
		return nil, fmt.Errorf("asking the first control plane for a token: %w", err)
	}
	j, err := parseJoin(line)
	if err != nil || !controlPlane {
		return j, err
	}
	out, err := output(l.SSH(ctx, first, "kubeadm init phase upload-certs --upload-certs"))
	if err != nil {
		return nil, fmt.Errorf("asking the first control plane for the certificates' key: %w", err)
	}
	j.CertificateKey = lastLines(out, 1)
	return j, nil
}

// parseJoin reads `kubeadm join ADDRESS --token TOKEN --discovery-token-ca-cert-hash HASH`.
func parseJoin(line string) (*joining, error) {
	words := strings.Fields(line)
	j := &joining{}
	for i := 1; i < len(words); i++ {
		switch words[i-1] {
		case "--token":
			j.Token = words[i]
		case "--discovery-token-ca-cert-hash":
			j.CAHash = words[i]
		}
	}
	if j.Token == "" || j.CAHash == "" {
		return nil, fmt.Errorf("the first control plane printed no join command but %q", line)
	}
	return j, nil
}

// current is the release that a new host joins at: the cluster may have been upgraded since the lab was made.
func (l *Lab) current(ctx context.Context) (build.Release, error) {
	config, err := output(l.Kubectl(ctx, "--request-timeout=5s", "-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "jsonpath={.data.ClusterConfiguration}"))
	if err != nil {
		return build.Release{}, fmt.Errorf("asking the cluster for its version: %w", err)
	}
	for line := range strings.Lines(config) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "kubernetesVersion: "); ok {
			return build.ReleaseOf(version)
		}
	}
	return build.Release{}, errors.New("the cluster does not say its version in kube-system/kubeadm-config")
}

func (l *Lab) awaitAPI(ctx context.Context) error {
	err := until(ctx, readyWithin, time.Second, func(ctx context.Context) error {
		_, err := output(l.Kubectl(ctx, "get", "--raw", "/readyz", "--request-timeout=3s"))
		return err
	})
	if err != nil {
		return fmt.Errorf("the API server does not become ready: %w", err)
	}
	return nil
}

// ready waits until every node has been seen in its present boot and is Ready, and CoreDNS answers every host through its
// service. What the API says is of before a restart for long, so that the boot id and a real answer are what counts.
func (l *Lab) ready(ctx context.Context) error {
	if err := parallel(l.Hosts(), func(_ int, name string) error { return l.seen(ctx, name) }); err != nil {
		return err
	}
	if _, err := output(l.Kubectl(ctx, "wait", "--timeout=5m", "--for=condition=Ready", "nodes", "--all")); err != nil {
		return fmt.Errorf("waiting for nodes to be Ready: %w; see `lab kubectl get nodes`", err)
	}
	err := parallel(l.Hosts(), func(_ int, name string) error {
		return until(ctx, readyWithin, time.Second, func(ctx context.Context) error {
			_, err := output(l.SSH(ctx, name, "curl --silent --fail --max-time 3 --output /dev/null http://"+coreDNS+"/metrics"))
			return err
		})
	})
	if err == nil {
		_, err = output(l.Kubectl(ctx, "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=5m"))
	}
	if err != nil {
		return fmt.Errorf("waiting for CoreDNS: %w; see `lab kubectl -n kube-system get pods`", err)
	}
	return nil
}

// seen waits until the cluster has heard from a host in its present boot.
func (l *Lab) seen(ctx context.Context, name string) error {
	boot, err := output(l.SSH(ctx, name, "cat /proc/sys/kernel/random/boot_id"))
	if err != nil {
		return fmt.Errorf("asking %s for its boot: %w", name, err)
	}
	err = until(ctx, readyWithin, time.Second, func(ctx context.Context) error {
		_, err := output(l.Kubectl(ctx, "wait", "--timeout=30s", "--for=jsonpath={.status.nodeInfo.bootID}="+boot, "node/"+name))
		return err
	})
	if err != nil {
		return fmt.Errorf("waiting for the kubelet of %s: %w; see `lab ssh %s journalctl -u kubelet`", name, err, name)
	}
	return nil
}
