package doctor

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/remote/remotetest"
	"upgrader.dev/upgrader/steps/survey"
)

func TestAClusterThatIsWellHasNoDiagnosis(t *testing.T) {
	for name, change := range map[string]func(*Picture){
		"as it is":             func(*Picture) {},
		"without a kubeconfig": func(p *Picture) { p.Cluster = nil },
		"old flags in a file of a kubelet that runs": func(p *Picture) {
			p.at("w1").Files["/var/lib/kubelet/kubeadm-flags.env"] = `KUBELET_KUBEADM_ARGS="--container-runtime=remote"`
		},
		"etcd's tag is pinned": func(p *Picture) { p.configure("etcd:\n  local:\n    imageTag: 3.5.6-0\n") },
		"a trouble that is over stands in a log": func(p *Picture) {
			p.at("w1").Journals[kubelet] = []string{"unknown flag: --container-runtime"}
			p.at("cp1").Components[census.Scheduler].Logs = []Log{{Began: time.Hour, Lines: log("unrecognized feature gate: X").Lines}}
		},
		"a component was restarted once": func(p *Picture) {
			p.at("cp1").Components[census.Scheduler].Logs = []Log{{Began: 30 * time.Second}, {Began: 40 * time.Minute, Ended: 31 * time.Second}}
		},
		"kubeadm has just changed a manifest": func(p *Picture) {
			c := p.at("cp1").Components[census.Scheduler]
			p.at("cp1").write(census.Scheduler, 40*time.Second)
			c.Logs = []Log{{Began: 20 * time.Second}, {Began: 8 * time.Minute, Ended: 25 * time.Second}}
			delete(p.Cluster.Census.Static["cp1"], census.Scheduler)
		},
		"the kubelet was restarted by hand after it failed": func(p *Picture) {
			u := runs(time.Minute)
			u.Restarts = 40
			p.at("w1").Units[kubelet] = u
		},
		"the last job did its work": func(p *Picture) {
			p.at("w1").Job = &Job{Name: "kubeadm upgrade node", Code: "0", Out: []string{"[ERROR CreateJob]"}}
		},
		"a manifest was taken away a moment ago": func(p *Picture) {
			p.at("cp1").remove(census.Scheduler)
			p.at("cp1").Components[census.Scheduler].Logs = []Log{{Began: 30 * time.Second}, {Began: 4 * time.Minute}}
		},
		"a job is at work": func(p *Picture) { p.at("w1").Job = &Job{Name: "kubeadm upgrade node", Code: "none"} },
		"the API still believes that a component is down": func(p *Picture) {
			p.at("cp1").write(census.Scheduler, 30*time.Second)
			p.Complaints = []kube.Complaint{{Pod: mirror(census.Scheduler, "cp1"), Why: "CrashLoopBackOff"}}
		},
		"cri-o is installed beside the runtime that is used": func(p *Picture) {
			p.at("w1").Units[crio] = stopped()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := healthy(t)
			change(p)
			if diff := cmp.Diff([]Diagnosis(nil), Diagnose(p)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatDoesNotRunIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Picture)
		want   string // host component state known after, one line each, in their order
		next   string // of the first
	}{
		"a kubelet that was stopped": {func(p *Picture) {
			p.at("w1").Units[kubelet] = stopped()
		}, "w1 kubelet down", "systemctl start kubelet"},
		"a kubelet that ends at once": {func(p *Picture) {
			p.at("w1").Units[kubelet], p.at("w1").Journals[kubelet] = fails(3), []string{"E1122 boom"}
		}, "w1 kubelet restarting", "journalctl -u kubelet"},
		"a kubelet that has failed for the first time": {func(p *Picture) {
			p.at("w1").Units[kubelet] = fails(0)
		}, "w1 kubelet restarting", "journalctl -u kubelet"},
		"a kubelet that is seen at work between two ends": {func(p *Picture) {
			u := runs(0)
			u.Restarts = 3
			p.at("w1").Units[kubelet] = u
		}, "w1 kubelet restarting", "journalctl -u kubelet"},
		"a node that is not Ready": {func(p *Picture) {
			p.nodes()[1].Ready, p.nodes()[1].ReadyReason = false, "KubeletNotReady: cni plugin not initialized"
		}, "w1 kubelet failing", "kubectl describe node w1"},
		"a container runtime that was stopped, and the node for it": {func(p *Picture) {
			p.at("w1").Units[containerd] = stopped()
			p.at("w1").Runtime.Answers = false
			p.nodes()[1].Ready = false
		}, "w1 containerd down\nw1 kubelet failing after containerd on w1", "systemctl start containerd"},
		"a container runtime that hangs": {func(p *Picture) { p.at("w1").Runtime = survey.Runtime{Asked: true, Says: "deadline"} },
			"w1 containerd failing", "journalctl -u containerd"},
		"a container runtime that hangs, whose service is not known": {func(p *Picture) {
			p.at("w1").Runtime = survey.Runtime{Asked: true, Says: "deadline"}
			delete(p.at("w1").Units, containerd)
		}, "w1 container runtime failing", "`systemctl list-units --type=service`"},
		"an etcd that cannot be asked": {func(p *Picture) {
			p.Etcd, _ = etcd.Read("cp1", map[string]inquiry.Answer{etcd.Question().Name: {Code: 3, Complaints: []string{"no etcdctl here"}}})
		}, "cluster etcd failing", "install it there, or crictl"},
		"a manifest that is gone, with a copy": {func(p *Picture) {
			p.at("cp1").remove(census.Etcd)
			p.at("cp1").Components[census.Etcd] = &Component{Backup: "/etc/kubernetes/tmp/kubeadm-backup-manifests-1/etcd.yaml"}
		}, "cp1 etcd down", "cp /etc/kubernetes/tmp/kubeadm-backup-manifests-1/etcd.yaml /etc/kubernetes/manifests/etcd.yaml"},
		"a manifest that is gone, without one": {func(p *Picture) {
			p.at("cp1").remove(census.Scheduler)
			*p.at("cp1").Components[census.Scheduler] = Component{}
		}, "cp1 kube-scheduler down", "from another control plane"},
		"etcd, and what cannot do without it": {func(p *Picture) {
			p.Away = errors.New("connection refused")
			for _, c := range components() {
				p.stop("cp1", c).Logs = []Log{log("E1122 it ended"), {Began: time.Minute}}
			}
		}, "cp1 etcd restarting\ncp1 kube-apiserver restarting after etcd on cp1\n" +
			"cp1 kube-controller-manager restarting after kube-apiserver on cp1\ncp1 kube-scheduler restarting after kube-apiserver on cp1", "/etc/kubernetes/manifests/etcd.yaml"},
		"etcd without a manifest, whatever certificate has ended": {func(p *Picture) {
			delete(p.at("cp1").Files, manifests+"etcd.yaml")
			p.stop("cp1", census.Etcd)
			p.at("cp1").Certificates = []survey.Certificate{{Path: "/etc/kubernetes/pki/front-proxy-client.crt", X509: endedYesterday()}}
		}, "cp1 etcd down\ncp1 certificates failing certificate-expired", "put /etc/kubernetes/manifests/etcd.yaml back"},
		"an API that is away though its servers are well": {func(p *Picture) { p.Away = errors.New("connection refused") },
			"cluster API down", "load balancer"},
		"an API that is away, and none of its hosts looked at": {func(p *Picture) {
			p.Away, p.Hosts = errors.New("connection refused"), p.Hosts[1:]
		}, "cluster API down", "upgrader doctor"},
		"an API server that is not ready": {func(p *Picture) { p.at("cp1").API.Ready = false }, "cp1 kube-apiserver failing", ""},
		"a host that cannot be asked": {func(p *Picture) {
			p.Hosts[1] = &Host{Host: &survey.Host{Name: "w1", Err: errors.New("no route to host")}}
		}, "w1 host down", "ssh w1"},
		"a full file system": {func(p *Picture) {
			p.at("w1").Disks = []survey.Disk{{Path: "/var/log", Mount: "/var/log", Size: 1 << 30}, {Path: "/", Mount: "/", Size: 1 << 30, Free: 1 << 28}}
		}, "w1 disk failing", "du -xh /var/log"},
		"a pod of kube-system that cannot start, once for all of its controller": {func(p *Picture) {
			pod := kube.Pod{Namespace: "kube-system", Name: "kube-proxy-a", Node: "w1", Owner: "kube-proxy"}
			other := pod
			other.Name, other.Node = "kube-proxy-b", "cp1"
			p.Complaints = []kube.Complaint{{Pod: pod, Why: "ImagePullBackOff"}, {Pod: other, Why: "ImagePullBackOff"}}
		}, "w1 kube-proxy-a failing", "describe pod kube-proxy-a"},
		"a component that the API has no pod of": {func(p *Picture) { delete(p.Cluster.Census.Static["cp1"], census.Scheduler) }, "cp1 kube-scheduler failing", ""},
		"a controller that nobody leads":         {func(p *Picture) { delete(p.Cluster.Leaders, census.Scheduler) }, "cluster leader failing", ""},
		"a job that failed for an unknown reason": {func(p *Picture) {
			p.at("w1").Job = &Job{Name: "apt-get install kubelet", Code: "100", Out: []string{"E: broken"}}
		}, "w1 apt-get failing", "upgrader resume"},
	} {
		t.Run(name, func(t *testing.T) {
			p := healthy(t)
			c.change(p)
			found := Diagnose(p)
			if diff := cmp.Diff(c.want, summary(found)); diff != "" {
				t.Fatal(diff)
			}
			if !strings.Contains(found[0].Next, c.next) {
				t.Errorf("next is %q, want %q in it", found[0].Next, c.next)
			}
		})
	}
}

func summary(all []Diagnosis) string {
	var lines []string
	for _, d := range all {
		l := d.Host + " " + d.Component + " " + string(d.State)
		if d.Known != nil {
			l += " " + d.Known.ID
		}
		if d.After != "" {
			l += " after " + d.After
		}
		lines = append(lines, l)
	}
	return strings.Join(lines, "\n")
}

// Every host is asked once, whatever there is to know of it: about itself, its trouble, and etcd.
func TestLook(t *testing.T) {
	asked := func(name, said string) string { return "== question " + name + "\n" + said + "== answered 0\n" }
	said := "== host\nuser 0\n" + asked(question, script) + asked("etcd", "== kind\nstacked\n== members\n|{\"members\":[{\"ID\":1,\"name\":\"cp1\"}]}\n")
	hosts := remotetest.Hosts{"cp1": {Answer: remotetest.Says(said)}, "w1": {Answer: remotetest.Exits(1, "sudo: a password is required")}}
	p, err := Look(t.Context(), survey.Eyes{Hosts: hosts}, []Patient{{"cp1", true}, {"w1", false}})
	if err != nil {
		t.Fatal(err)
	}
	if h := p.Hosts[0]; h.Err != nil || !h.Root || h.Job == nil || !h.ControlPlane {
		t.Errorf("cp1 was not read: %+v", h)
	}
	if p.Hosts[1].Err == nil {
		t.Error("w1 fails, and nobody says so")
	}
	if p.Etcd == nil || !strings.Contains(p.Etcd.Raw, `"name":"cp1"`) {
		t.Errorf("etcd was not read: %+v", p.Etcd)
	}
	for name, h := range hosts {
		if n := len(h.Calls()); n != 1 {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
	if text := hosts["w1"].Calls()[0].Job.Text; strings.Contains(text, "question etcd") {
		t.Error("a worker was asked about etcd")
	}
	hosts["w1"].Answer = remotetest.Says("== host\nuser 0\n== question trouble\n== answered 2\n")
	if p, err = Look(t.Context(), survey.Eyes{Hosts: hosts}, []Patient{{"w1", false}}); err != nil || p.Hosts[0].Err == nil {
		t.Errorf("a script that failed is taken for an answer: %v %+v", err, p.Hosts[0])
	}
}

// The API is asked for each thing once, and what it says is understood as survey has it.
func TestLookAtTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(kube.Node{Name: "cp1", ControlPlane: true, Ready: true})
		s.SetPod(mirror(census.Scheduler, "cp1"))
		s.SetPod(kube.Pod{Namespace: "kube-system", Name: "coredns-1", Node: "cp1", Ready: true, Phase: "Running"})
		s.SetConfigMap("kube-system", "kubeadm-config", map[string]string{"ClusterConfiguration": "kind: ClusterConfiguration\n"})
		s.SetLeader(census.Scheduler, "cp1_x", time.Now())
		p, err := Look(t.Context(), survey.Eyes{Cluster: s.Client(t, "r1").ReadOnly()}, nil)
		if err != nil || !p.answers() {
			t.Fatal(err, p.Away)
		}
		static := p.Cluster.Census.Static
		if len(p.nodes()) != 1 || len(static) != 1 || !static["cp1"][census.Scheduler].Mirror || len(p.Complaints) > 0 {
			t.Errorf("nodes %v, static pods %v, complaints %v", p.nodes(), static, p.Complaints)
		}
		if p.clusterConfiguration() != "kind: ClusterConfiguration\n" || p.Cluster.Leaders[census.Scheduler].Name != "cp1_x" {
			t.Errorf("configuration %q, leaders %v", p.clusterConfiguration(), p.Cluster.Leaders)
		}
		all := s.Requests()
		if slices.Sort(all); len(all) != len(slices.Compact(all)) || len(all) != 5 {
			t.Errorf("%d requests: %q", len(all), all)
		}

		s.Fail(func(int, *http.Request) kubetest.Fault { return kubetest.Unavailable })
		if p, err = Look(t.Context(), survey.Eyes{Cluster: s.Client(t, "r2").ReadOnly()}, nil); err != nil || p.answers() || p.Cluster.Server == "" {
			t.Errorf("an API that is away: %v, %+v", err, p)
		}
	})
}

// A program that hangs on a host is named, and nothing is made of what it did not tell.
func TestWhatHangsIsNamed(t *testing.T) {
	p := healthy(t)
	h := p.at("w1")
	h.Hung = []string{"df -Pk / has not answered for 8s", "systemctl show kubelet.service has not answered for 8s"}
	h.Units = nil
	all := Diagnose(p)
	if len(all) != 1 || all[0].Host != "w1" || all[0].State != Failing || all[0].Why != h.Hung[0] || len(all[0].Log) != 1 {
		t.Errorf("%+v", all)
	}
}
