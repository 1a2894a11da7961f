//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sickness is one failure that is staged on a host: how it is brought about, by what the doctor has to know it, and
// how it is cured.
type sickness struct {
	name, host string
	stage      string   // shell, run on the host
	cure       string   // likewise
	component  string   // a beginning of it will do; empty: any of the host's
	states     string   // any of these
	at         string   // host of the diagnosis; empty: host
	known      string   // the failure's name; empty: none is known
	says       []string // words in why, log or next
	after      string   // what has to be cured first
}

// A round is sicknesses that are staged together, since they do not hide each other.
type round []sickness

const (
	manifest = "/etc/kubernetes/manifests/"
	etcdctl  = `p=/etc/kubernetes/pki/etcd; etcdctl() { command etcdctl --cacert=$p/ca.crt --cert=$p/server.crt --key=$p/server.key "$@"; }; `
	// Signs what $1 was signed for anew, by the authority $2, in a certificate $1 that has ended.
	expire = `expired() {
  cd /tmp; openssl req -new -newkey rsa:2048 -nodes -keyout key -subj "$3" -out request 2>/dev/null
  openssl x509 -req -in request -CA "$2.crt" -CAkey "$2.key" -set_serial 4711 -days -1 -out "$1" 2>/dev/null
}; `
	kubeadmOutput = `[ERROR CreateJob]: Job "upgrade-health-check-1730541600000" in the namespace "kube-system" did not complete in 15s: no condition of type Complete`
)

func flags() round {
	return round{
		{name: "a kubelet with a flag that is gone", host: "w1", component: "kubelet", states: "restarting", known: "kubelet-flag-container-runtime",
			stage: `cp /var/lib/kubelet/kubeadm-flags.env /root/; sed -i 's/KUBEADM_ARGS="/KUBEADM_ARGS="--container-runtime=remote /' /var/lib/kubelet/kubeadm-flags.env; systemctl restart kubelet`,
			cure:  `cp /root/kubeadm-flags.env /var/lib/kubelet/; systemctl restart kubelet`},
		{name: "a scheduler with a feature gate that nobody knows", host: "cp1", component: "kube-scheduler", states: "restarting down", known: "feature-gate-refused",
			stage: `sed -i 's/^    - --leader-elect=true/&\n    - --feature-gates=Nonsense=true/' ` + manifest + `kube-scheduler.yaml`,
			cure:  `sed -i /Nonsense/d ` + manifest + `kube-scheduler.yaml`},
	}
}

func quiet() round {
	return round{
		{name: "a kubelet that was stopped", host: "w1", component: "kubelet", states: "down", says: []string{"systemctl start kubelet"},
			stage: `systemctl stop kubelet`, cure: `systemctl start kubelet`},
		{name: "a full file system", host: "cp1", component: "disk", states: "failing", says: []string{"/etc/kubernetes/tmp is full"},
			stage: `mkdir -p /etc/kubernetes/tmp; mount -t tmpfs -o size=2m tmpfs /etc/kubernetes/tmp; head -c 4M /dev/zero >/etc/kubernetes/tmp/backup || :`,
			cure:  `umount /etc/kubernetes/tmp`},
		{name: "a member of etcd that stays a learner", host: "cp1", at: "cluster", component: "etcd", states: "unwell", known: "etcd-learner-not-promoted",
			stage: etcdctl + `etcdctl member add ghost --learner --peer-urls=https://10.99.99.99:2380`,
			cure:  etcdctl + `etcdctl member remove $(etcdctl member list | sed -n 's/, unstarted.*//p')`},
		{name: "a test job of kubeadm that did not get through", host: "cp1", component: "kubeadm", states: "failing", known: "upgrade-health-check",
			stage: `j=/var/lib/upgrader/jobs/staged; mkdir -p ${j%/*}; printf '1\nname kubeadm upgrade apply v1.28.15\n' >$j.claim; echo '` + kubeadmOutput + `' >$j.out; touch -d '+1 second' $j.claim`,
			cure:  `rm /var/lib/upgrader/jobs/staged.*`},
		{name: "an image of CoreDNS that is not where it is looked for", host: "cp1", at: "any", component: "coredns-", states: "failing", known: "coredns-image-path",
			stage: `kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system set image deployment/coredns coredns=registry.k8s.io/coredns:v1.10.1`,
			cure:  `kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system rollout undo deployment/coredns`},
	}
}

func away() round {
	return round{
		{name: "a container runtime that was stopped", host: "w1", component: "containerd", states: "down", says: []string{"systemctl start containerd"},
			stage: `systemctl stop containerd`, cure: `systemctl start containerd`},
		{name: "an API server whose certificate is nowhere", host: "cp1", component: "kube-apiserver", states: "down restarting", says: []string{"nowhere.crt"},
			stage: `sed -i.bak 's#--etcd-certfile=.*#--etcd-certfile=/etc/kubernetes/pki/nowhere.crt#' ` + manifest + `kube-apiserver.yaml; mv ` + manifest + `kube-apiserver.yaml.bak /root/kube-apiserver.yaml`,
			cure:  `cp /root/kube-apiserver.yaml ` + manifest},
	}
}

func expired() round {
	return round{
		{name: "a kubelet whose certificate has ended", host: "w1", component: "kubelet", states: "restarting", known: "certificate-expired", after: "certificates on w1",
			stage: `systemctl stop kubelet; c=/var/lib/kubelet/pki/kubelet-client-current.pem; cp $c /root/good.pem; cat /tmp/crt /tmp/key >$c; systemctl start kubelet`,
			cure:  `cat /root/good.pem >/var/lib/kubelet/pki/kubelet-client-current.pem; systemctl restart kubelet`},
		{name: "a certificate of the API server that has ended", host: "cp1", component: "certificates", states: "failing", known: "certificate-expired",
			stage: `cp /etc/kubernetes/pki/front-proxy-client.crt /root/; ` + expire + `expired /etc/kubernetes/pki/front-proxy-client.crt /etc/kubernetes/pki/front-proxy-ca /CN=front-proxy-client`,
			cure:  `cp /root/front-proxy-client.crt /etc/kubernetes/pki/`},
		{name: "an etcd without a manifest", host: "cp1", component: "etcd", states: "down", says: []string{"no manifest"},
			stage: `mv ` + manifest + `etcd.yaml /root/`, cure: `mv /root/etcd.yaml ` + manifest},
	}
}

func drivers() round {
	return round{
		{name: "a kubelet with another cgroup driver than its runtime", host: "cp1", states: "down restarting", known: "cgroup-driver-differs",
			stage: `sed -i 's/^cgroupDriver: systemd/cgroupDriver: cgroupfs/' /var/lib/kubelet/config.yaml; systemctl restart kubelet; sed -i 's/^metadata:/&\n  annotations: {staged: "1"}/' ` + manifest + `kube-scheduler.yaml`,
			cure:  `sed -i 's/^cgroupDriver: cgroupfs/cgroupDriver: systemd/' /var/lib/kubelet/config.yaml; systemctl restart kubelet`},
	}
}

// The doctor knows each of a dozen failures by name, component and host, while they are there and not after.
func TestDoctor(t *testing.T) {
	t.Parallel()
	l := up(t, 1, 1)
	l.well()
	for _, sick := range []round{flags(), quiet(), away(), l.expired(), drivers()} {
		began := time.Now()
		for _, s := range sick {
			l.sh(s.host, s.stage)
		}
		for _, s := range sick {
			t.Run(s.name, func(t *testing.T) { l.in(t).recognises(s) })
		}
		for _, s := range sick {
			l.sh(s.host, s.cure)
		}
		l.figure("a round of %d", time.Since(began), len(sick))
	}
	l.well()
}

// expired are the failures that need a certificate of the cluster's authority for the worker.
func (l *lab) expired() round {
	l.t.Helper()
	pem := l.sh("cp1", expire+`expired /tmp/crt /etc/kubernetes/pki/ca "/O=system:nodes/CN=system:node:w1"; cat /tmp/crt; echo; cat /tmp/key`)
	crt, key, _ := strings.Cut(pem, "\n\n")
	l.sh("w1", `umask 077; printf '%s\n' "$1" >/tmp/crt; printf '%s' "$2" >/tmp/key`, crt, key)
	return expired()
}

// A diagnosis is what the test reads of one.
type diagnosis struct {
	Host, Component, State, Why, Next, After string
	Log                                      []string
	Known                                    struct{ ID string }
}

// examine runs the doctor, and returns what it found.
func (l *lab) examine() []diagnosis {
	l.t.Helper()
	cmd := exec.Command(filepath.Join(programs, "upgrader"), "doctor", "--output", "json",
		"--kubeconfig", filepath.Join(l.dir, "kubeconfig"), "--inventory", filepath.Join(l.dir, "inventory.yaml"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		l.t.Fatalf("upgrader doctor: %v\n%s", err, out)
	}
	var visit struct{ Diagnoses []diagnosis }
	if err := json.Unmarshal(out, &visit); err != nil {
		l.t.Fatalf("%v in %s", err, out)
	}
	if (err == nil) != (len(visit.Diagnoses) == 0) {
		l.t.Errorf("%d diagnoses, and it ends with %v", len(visit.Diagnoses), err)
	}
	return visit.Diagnoses
}

// recognises waits until the doctor names a sickness: a component takes some seconds to fail.
func (l *lab) recognises(s sickness) {
	l.t.Helper()
	var found []diagnosis
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Second) {
		found = l.examine()
		if slices.ContainsFunc(found, s.is) {
			return
		}
	}
	l.t.Errorf("it is not among\n%s", listed(found))
}

func (s sickness) is(d diagnosis) bool {
	at := s.at
	if at == "" {
		at = s.host
	}
	said := d.Why + d.Next + strings.Join(d.Log, "\n")
	return (at == "any" || d.Host == at) && strings.HasPrefix(d.Component, s.component) && strings.Contains(s.states, d.State) && d.Known.ID == s.known &&
		d.After == s.after && !slices.ContainsFunc(s.says, func(w string) bool { return !strings.Contains(said, w) })
}

// well waits until the doctor finds nothing.
func (l *lab) well() {
	l.t.Helper()
	var found []diagnosis
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
		if found = l.examine(); len(found) == 0 {
			return
		}
	}
	l.t.Errorf("what is cured is still found:\n%s", listed(found))
}

func listed(all []diagnosis) string {
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "%+v\n", d)
	}
	return b.String()
}
