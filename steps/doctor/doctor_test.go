package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
	"upgrader.dev/upgrader/steps/survey"
)

func TestAClusterThatIsWellHasNoDiagnosis(t *testing.T) {
	for name, change := range map[string]func(*Picture){
		"as it is":             func(*Picture) {},
		"without a kubeconfig": func(p *Picture) { p.API = API{} },
		"old flags in a file of a kubelet that runs": func(p *Picture) {
			p.at("w1").Files["/var/lib/kubelet/kubeadm-flags.env"] = `KUBELET_KUBEADM_ARGS="--container-runtime=remote"`
		},
		"etcd's tag is pinned": func(p *Picture) { p.API.Config = "etcd:\n  local:\n    imageTag: 3.5.6-0\n" },
		"a trouble that is over stands in a log": func(p *Picture) {
			p.at("w1").Services[kubelet].Log = []string{"unknown flag: --container-runtime"}
			p.at("cp1").Components[census.Scheduler].Logs = []Log{{Began: time.Hour, Lines: log("unrecognized feature gate: X").Lines}}
		},
		"a component was restarted once": func(p *Picture) {
			p.at("cp1").Components[census.Scheduler].Logs = []Log{{Began: 30 * time.Second}, {Began: 40 * time.Minute, Ended: 31 * time.Second}}
		},
		"kubeadm has just changed a manifest": func(p *Picture) {
			c := p.at("cp1").Components[census.Scheduler]
			c.Age, c.Logs = 40*time.Second, []Log{{Began: 20 * time.Second}, {Began: 8 * time.Minute, Ended: 25 * time.Second}}
			p.API.Pods = p.API.Pods[:3]
		},
		"the kubelet was restarted by hand after it failed": func(p *Picture) {
			p.at("w1").Services[kubelet] = &Service{Active: "active", Restarts: 40, Ran: true, Began: time.Minute}
		},
		"the last job did its work": func(p *Picture) {
			p.at("w1").Job = &Job{Name: "kubeadm upgrade node", Code: "0", Out: []string{"[ERROR CreateJob]"}}
		},
		"a job is at work": func(p *Picture) { p.at("w1").Job = &Job{Name: "kubeadm upgrade node", Code: "none"} },
		"the API still believes that a component is down": func(p *Picture) {
			p.at("cp1").Components[census.Scheduler].Age = 30 * time.Second
			p.API.Complaints = []kube.Complaint{{Pod: mirror(census.Scheduler, "cp1"), Why: "CrashLoopBackOff"}}
		},
		"cri-o is installed beside the runtime that is used": func(p *Picture) {
			p.at("w1").Services[crio] = &Service{Active: "inactive", Sub: "dead"}
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
			p.at("w1").Services[kubelet] = &Service{Active: "inactive", Sub: "dead", Result: "success 0"}
		}, "w1 kubelet down", "systemctl start kubelet"},
		"a kubelet that ends at once": {func(p *Picture) {
			p.at("w1").Services[kubelet] = &Service{Active: "activating", Sub: "auto-restart", Restarts: 3, Log: []string{"E1122 boom"}}
		}, "w1 kubelet restarting", "journalctl -u kubelet"},
		"a kubelet that has failed for the first time": {func(p *Picture) {
			p.at("w1").Services[kubelet] = &Service{Active: "activating", Sub: "auto-restart"}
		}, "w1 kubelet restarting", "journalctl -u kubelet"},
		"a kubelet that is seen at work between two ends": {func(p *Picture) {
			p.at("w1").Services[kubelet] = &Service{Active: "active", Restarts: 3, Ran: true}
		}, "w1 kubelet restarting", "journalctl -u kubelet"},
		"a node that is not Ready": {func(p *Picture) {
			p.API.Nodes[1].Ready, p.API.Nodes[1].ReadyReason = false, "KubeletNotReady: cni plugin not initialized"
		}, "w1 kubelet failing", "kubectl describe node w1"},
		"a container runtime that was stopped, and the node for it": {func(p *Picture) {
			p.at("w1").Services[containerd] = &Service{Active: "inactive", Sub: "dead", Result: "success 0"}
			p.at("w1").Runtime.Answers = false
			p.API.Nodes[1].Ready = false
		}, "w1 containerd down\nw1 kubelet failing after containerd on w1", "systemctl start containerd"},
		"a container runtime that hangs": {func(p *Picture) { p.at("w1").Runtime = survey.Runtime{Asked: true, Says: "deadline"} },
			"w1 containerd failing", "journalctl -u containerd"},
		"a manifest that is gone, with a copy": {func(p *Picture) {
			p.at("cp1").Components[census.Etcd] = &Component{Backup: "/etc/kubernetes/tmp/kubeadm-backup-manifests-1/etcd.yaml"}
		}, "cp1 etcd down", "cp /etc/kubernetes/tmp/kubeadm-backup-manifests-1/etcd.yaml /etc/kubernetes/manifests/etcd.yaml"},
		"a manifest that is gone, without one": {func(p *Picture) {
			*p.at("cp1").Components[census.Scheduler] = Component{}
		}, "cp1 kube-scheduler down", "from another control plane"},
		"etcd, and what cannot do without it": {func(p *Picture) {
			p.API.Err = errors.New("connection refused")
			for _, c := range components() {
				p.stop("cp1", c).Logs = []Log{log("E1122 it ended"), {Began: time.Minute}}
			}
		}, "cp1 etcd restarting\ncp1 kube-apiserver restarting after etcd on cp1\n" +
			"cp1 kube-controller-manager restarting after kube-apiserver on cp1\ncp1 kube-scheduler restarting after kube-apiserver on cp1", "/etc/kubernetes/manifests/etcd.yaml"},
		"an API that is away though its servers are well": {func(p *Picture) { p.API.Err = errors.New("connection refused") },
			"cluster API down", "load balancer"},
		"an API that is away, and none of its hosts looked at": {func(p *Picture) {
			p.API.Err, p.Hosts = errors.New("connection refused"), p.Hosts[1:]
		}, "cluster API down", "upgrader doctor"},
		"an API server that is not ready": {func(p *Picture) { p.at("cp1").API.Ready = false }, "cp1 kube-apiserver failing", ""},
		"a host that cannot be asked": {func(p *Picture) {
			p.Hosts[1] = &Host{Host: &survey.Host{Name: "w1", Err: errors.New("no route to host")}}
		}, "w1 host down", "ssh w1"},
		"a full file system": {func(p *Picture) {
			p.at("w1").Full = []survey.Disk{{Mount: "/var/log", Size: 1 << 30}}
		}, "w1 disk failing", "du -xh /var/log"},
		"a pod of kube-system that cannot start, once for all of its controller": {func(p *Picture) {
			pod := kube.Pod{Namespace: "kube-system", Name: "kube-proxy-a", Node: "w1", Owner: "kube-proxy"}
			other := pod
			other.Name, other.Node = "kube-proxy-b", "cp1"
			p.API.Complaints = []kube.Complaint{{Pod: pod, Why: "ImagePullBackOff"}, {Pod: other, Why: "ImagePullBackOff"}}
		}, "w1 kube-proxy-a failing", "describe pod kube-proxy-a"},
		"a component that the API has no pod of": {func(p *Picture) { p.API.Pods = p.API.Pods[:3] }, "cp1 kube-scheduler failing", ""},
		"a controller that nobody leads":         {func(p *Picture) { delete(p.API.Leaders, census.Scheduler) }, "cluster leader failing", ""},
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

func TestLook(t *testing.T) {
	said := func(remote.Script) (remote.Result, error) { return remote.Result{Stdout: script}, nil }
	hosts := remotetest.Hosts{"cp1": {Answer: said}, "w1": {Answer: remotetest.Exits(1, "sudo: a password is required")}}
	p, err := Eyes{Hosts: hosts}.Look(t.Context(), []Patient{{"cp1", true}, {"w1", false}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Hosts[0].Err != nil || p.Hosts[0].Job == nil || !p.Hosts[0].ControlPlane {
		t.Errorf("cp1 was not read: %+v", p.Hosts[0])
	}
	if p.Hosts[1].Err == nil {
		t.Error("w1 fails, and nobody says so")
	}
}

// A program that hangs on a host is named, and nothing is made of what it did not tell.
func TestWhatHangsIsNamed(t *testing.T) {
	p := healthy(t)
	h := p.at("w1")
	h.Silent = []string{"df -Pk / has not answered for 8s", "systemctl show kubelet.service has not answered for 8s"}
	h.Services, h.Units = map[string]*Service{}, nil
	all := Diagnose(p)
	if len(all) != 1 || all[0].Host != "w1" || all[0].State != Failing || all[0].Why != h.Silent[0] || len(all[0].Log) != 1 {
		t.Errorf("%+v", all)
	}
}
