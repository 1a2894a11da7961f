package doctor

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// place puts the example of a failure where it is met, in a cluster with the component down that it concerns.
func place(t *testing.T, p *Picture, pattern knowledge.Pattern) {
	t.Helper()
	cp := p.at("cp1")
	text := pattern.Example
	switch pattern.In {
	case knowledge.KubeletLog:
		cp.Units[kubelet], cp.Journals[kubelet] = fails(3), strings.Split(text, "\n")
		cp.Leftovers = []survey.File{{Path: backups + "/kubeadm-backup-manifests-1", Changed: now.Add(-time.Hour)}}
	case knowledge.ContainerLog:
		p.stop("cp1", census.APIServer).Logs = []Log{log(strings.Split(text, "\n")...)}
	case knowledge.KubeadmOutput:
		cp.Job = &Job{Name: "kubeadm upgrade apply v1.28.15", Code: "1", Out: strings.Split(text, "\n")}
	case knowledge.StaticPod:
		p.stop("cp1", census.Etcd)
		cp.Files[manifests+"etcd.yaml"] = text
	case knowledge.FromAPI:
		p.Hosts = p.Hosts[:1]
		placeFromAPI(p, cp, text)
	case knowledge.FromEtcd:
		p.Etcd = report(t, text)
	case knowledge.Certificates:
		p.stop("cp1", census.APIServer)
		cp.Certificates = []survey.Certificate{{Path: "/etc/kubernetes/pki/apiserver.crt", X509: endedYesterday()}}
	case knowledge.Config:
		p.stop("cp1", census.Etcd)
		p.configure(text)
		cp.Units[kubelet] = fails(3)
		cp.Files["/var/lib/kubelet/kubeadm-flags.env"] = text
	case knowledge.Host:
		cp.Units[kubelet] = fails(3)
		cp.Cgroup = strings.TrimPrefix(text, "stat -fc %T /sys/fs/cgroup: ")
		cp.Disks, cp.Leftovers = []survey.Disk{{Mount: "/", Size: 1 << 30}}, []survey.File{{Path: backups + "/kubeadm-backup-etcd-1", Size: 14 << 30}}
		cp.Job = &Job{Name: "apt-get update", Code: "100", Out: strings.Split(text, "\n")}
	}
}

func placeFromAPI(p *Picture, cp *Host, text string) {
	key, value, _ := strings.Cut(text, ": ")
	pod, isPod := strings.CutPrefix(key, "pod kube-system/")
	switch {
	case isPod:
		why, says, _ := strings.Cut(value, ": ")
		p.Complaints = []kube.Complaint{{Pod: kube.Pod{Namespace: "kube-system", Name: pod, Node: "cp1"}, Why: why, Says: says}}
	case strings.Contains(text, "not found"):
		cp.Forbidden = []string{text}
	default:
		p.nodes()[0].Ready, p.nodes()[0].Annotations = false, map[string]string{key: value}
	}
}

func endedYesterday() *x509.Certificate {
	return &x509.Certificate{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, -1)}
}

// report is what etcd tells through a host that answers like this.
func report(t *testing.T, members string) *etcd.Report {
	t.Helper()
	said := inquiry.Read("== kind\nstacked\n== members\n|"+members+"\n", "").Base
	r, err := etcd.Read("cp1", map[string]inquiry.Answer{etcd.Question().Name: {Sections: said}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryKnownFailureIsRecognised(t *testing.T) {
	base, err := knowledge.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range base.Failures() {
		for _, pattern := range f.Patterns {
			t.Run(f.ID+" in "+string(pattern.In), func(t *testing.T) {
				p := healthy(t)
				p.at("cp1").Kubelet = "1.28.15"
				if f.Minors.From > 28 {
					p.at("cp1").Kubelet = f.Minors.From.String() + ".0"
				}
				place(t, p, pattern)
				found := Diagnose(p)
				for _, d := range found {
					remedied := d.Next == f.Remedy || d.Component == certificatesName // that of the finding names the certificate
					if d.Known != nil && d.Known.ID == f.ID && remedied && pattern.Match.MatchString(d.Known.Seen) {
						return
					}
				}
				t.Errorf("it is not among\n%s", summary(found))
			})
		}
	}
}

func TestAFailureOfAnotherVersionIsNotRecognised(t *testing.T) {
	p := healthy(t)
	p.at("w1").Kubelet = "1.26.0"
	p.at("w1").Units[kubelet], p.at("w1").Journals[kubelet] = fails(3), []string{"unknown flag: --container-runtime"}
	if diff := cmp.Diff("w1 kubelet restarting", summary(Diagnose(p))); diff != "" {
		t.Error(diff)
	}
}

func TestAnAPIThatIsAwayIsNoPolicy(t *testing.T) {
	p := healthy(t)
	p.stop("cp1", census.Scheduler).About = []string{`E1122 04:03:28.744955    7813 kubelet.go:1856] "Failed creating a mirror pod for" err="Post \"https://10.77.2.1:6443/api/v1/namespaces/kube-system/pods\": dial tcp 10.77.2.1:6443: connect: connection refused"`}
	if diff := cmp.Diff("cp1 kube-scheduler down", summary(Diagnose(p))); diff != "" {
		t.Error(diff)
	}
}

func TestOneCauseIsNamedOnceWhereManyFollow(t *testing.T) {
	p := healthy(t)
	why := `E1122 04:08:20.731138   13701 kuberuntime_manager.go:1122] "CreatePodSandbox for pod failed" err="expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got"`
	for _, c := range components() {
		p.stop("cp1", c).About = []string{why}
	}
	want := "cp1 etcd down cgroup-driver-differs\ncp1 kube-apiserver down cgroup-driver-differs after etcd on cp1\n" +
		"cp1 kube-controller-manager down cgroup-driver-differs after kube-apiserver on cp1\ncp1 kube-scheduler down cgroup-driver-differs after kube-apiserver on cp1"
	if diff := cmp.Diff(want, summary(Diagnose(p))); diff != "" {
		t.Error(diff)
	}
}

func TestAnEndedCertificateIsTheCauseAndNamesItsRenewal(t *testing.T) {
	p := healthy(t)
	p.at("w1").Certificates = []survey.Certificate{{Path: "/var/lib/kubelet/pki/kubelet-client-current.pem",
		X509: endedYesterday()}}
	p.at("w1").Units[kubelet], p.at("w1").Journals[kubelet] = fails(3), []string{"part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026"}
	found := Diagnose(p)
	want := "w1 certificates failing certificate-expired\nw1 kubelet restarting certificate-expired after certificates on w1"
	if diff := cmp.Diff(want, summary(found)); diff != "" {
		t.Fatal(diff)
	}
	if !strings.Contains(found[0].Next, "kubeadm kubeconfig user") {
		t.Errorf("next is %q, which does not renew a kubelet's", found[0].Next)
	}
}
