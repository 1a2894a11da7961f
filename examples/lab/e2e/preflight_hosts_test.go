//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

// unfitHosts are troubles of hosts that block an upgrade.
func unfitHosts() []trouble {
	return []trouble{
		{
			name: "a full disk", host: "w1",
			plant: `mount -t tmpfs -o size=64m tmpfs /var/cache/apt`, cure: `umount /var/cache/apt`,
			want: []wanted{{"blocker", "host.disk", "w1", "the disk mounted on /var/cache/apt is too full: 64 MiB free, 512 MiB needed", "df /var/cache/apt", "apt-get clean"}},
		},
		{
			name:  "no inodes",
			plant: `mount -t tmpfs -o size=2g,nr_inodes=64 tmpfs /var/cache/apt; for i in $(seq 61); do : >/var/cache/apt/$i; done`, cure: `umount /var/cache/apt`,
			want: []wanted{{"blocker", "host.inodes", "cp1", "out of inodes: 2 of 64 left", "df -i /var/cache/apt", "du --inodes -x /var/cache/apt"}},
		},
		{
			name: "swap is on", host: "w1", plant: swapOn, cure: swapOff,
			want: []wanted{swapFound},
		},
		{
			name:  "a certificate has ended",
			plant: replaceFile("/etc/kubernetes/pki/front-proxy-client.crt", certificate("front-proxy-client", -72*time.Hour)),
			cure:  `restore /etc/kubernetes/pki/front-proxy-client.crt`,
			want: []wanted{{
				"blocker", "host.certificates", "cp1", "/etc/kubernetes/pki/front-proxy-client.crt has ended 3 days ago", "CN=front-proxy-client", "kubeadm certs renew front-proxy-client",
			}},
		},
		{
			name: "no way to the images", host: "w1",
			plant: `f=/etc/containerd/certs.d/registry.k8s.io/hosts.toml; keep $f; sed -i 's#:[0-9]*"#:9"#' $f`,
			cure:  `restore /etc/containerd/certs.d/registry.k8s.io/hosts.toml`,
			want:  []wanted{{"blocker", "host.images", "w1", "registry.k8s.io/kube-proxy:v" + to, "000@", "crictl pull"}},
		},
		{
			name:  "a note among the manifests",
			plant: `echo "# ask who needs the old flags" >$m/notes.txt`, cure: `rm $m/notes.txt`,
			want: []wanted{{"blocker", "host.manifests", "cp1", "the kubelet runs notes.txt as a static pod too", "/etc/kubernetes/manifests/notes.txt", "move it out of /etc/kubernetes/manifests"}},
		},
	}
}

// swapOn says that there is swap: hosts of a lab share one kernel, so there is none in truth.
const (
	swapOn  = `printf 'Filename Type Size Used Priority\n/swap.img file 2097148 0 -2\n' >/root/swaps; mount --bind /root/swaps /proc/swaps`
	swapOff = `umount /proc/swaps; rm /root/swaps`
)

var swapFound = wanted{"blocker", "host.swap", "w1", "swap is on, and the kubelet does not start with it", "/proc/swaps: /swap.img", "swapoff -a"}

// untidyHosts are those that only warn.
func untidyHosts() []trouble {
	return []trouble{
		{
			name:  "an earlier upgrade was cut",
			plant: `mkdir -p /etc/kubernetes/tmp/kubeadm-upgraded-manifests123`, cure: `rm -r /etc/kubernetes/tmp/kubeadm-upgraded-manifests123`,
			want: []wanted{{"warning", "host.leftovers", "cp1", "an earlier upgrade by kubeadm failed or was cut here", "/etc/kubernetes/tmp/kubeadm-upgraded-manifests123", "remove the directory"}},
		},
		{
			name: "packages upgrade by themselves", host: "w1",
			plant: `
printf '[Service]\nExecStart=/bin/sleep infinity\n' >/run/systemd/system/unattended-upgrades.service
echo 'APT::Periodic::Unattended-Upgrade "1";' >/etc/apt/apt.conf.d/20auto-upgrades
systemctl daemon-reload
systemctl start unattended-upgrades`,
			cure: `systemctl stop unattended-upgrades; rm /run/systemd/system/unattended-upgrades.service /etc/apt/apt.conf.d/20auto-upgrades; systemctl daemon-reload`,
			want: []wanted{{"warning", "host.unattended", "w1", "apt upgrades packages by itself", "APT::Periodic::Unattended-Upgrade is on", "systemctl stop unattended-upgrades"}},
		},
		{
			name:  "a certificate ends in a week",
			plant: replaceFile("/etc/kubernetes/pki/apiserver-kubelet-client.crt", certificate("kube-apiserver-kubelet-client", 7*24*time.Hour+time.Hour)),
			cure:  `restore /etc/kubernetes/pki/apiserver-kubelet-client.crt`,
			want:  []wanted{{"warning", "host.certificates", "cp1", "apiserver-kubelet-client.crt ends in 7 days", "valid from", "kubeadm certs renew apiserver-kubelet-client"}},
		},
		{
			name: "an emptyDir that the plan lets go", ha: true,
			plant: apply("emptydir"), shows: running("emptydir"), cure: remove("emptydir"),
			want: []wanted{{"note", "drain.single", anyHost, "1 workload is out of service", "Deployment emptydir/shop", "--replicas=2"}},
		},
		{
			name: "the kubelet's configuration was edited", host: "w1",
			plant: `keep /var/lib/kubelet/config.yaml; echo 'maxPods: 60' >>/var/lib/kubelet/config.yaml`, cure: `restore /var/lib/kubelet/config.yaml`,
			want: []wanted{{"warning", "config.kubelet", "w1", "the upgrade would undo these edits", "- maxPods: 60", "kube-system/kubelet-config"}},
		},
	}
}

// deadHosts are hosts that cannot be worked on, for what the inventory says of them.
func deadHosts() batch {
	return batch{
		name: "hosts that cannot be asked", plan: shipped(),
		inventory: func(l *lab, text string) string {
			last := l.hosts[len(l.hosts)-1]
			text = strings.Replace(text, "name: "+last+",", "name: "+last+", port: 2,", 1)
			return strings.Replace(text, "name: cp1,", "name: cp1, user: guest,", 1)
		},
		troubles: []trouble{
			{
				name: "the wrong port", want: []wanted{{"blocker", "host.reach", anyHost, "the host cannot be asked", ":2", "as the inventory says"}},
			},
			{
				name:  "a user without sudo",
				plant: `useradd -m -s /bin/sh guest; cp -r /root/.ssh /home/guest/; chown -R guest /home/guest`, cure: `userdel -f -r guest 2>/dev/null`,
				want: []wanted{{"blocker", "host.sudo", "cp1", "commands cannot be run as root", "sudo refused", "ssh.sudo"}},
			},
		},
	}
}

// replaceFile puts a text into the place of a file.
func replaceFile(name, text string) string {
	return fmt.Sprintf("keep %s\ncat >%s <<'EOF'\n%sEOF\n", name, name, text)
}

// certificate is one that nobody has signed, and that ends after so long.
func certificate(name string, ends time.Duration) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().Add(ends)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// oldCgroups tells whether this machine, and so every host of a lab, has control groups of version 1.
func oldCgroups() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err != nil
}
