package kubeadm

import (
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/skew"
)

// FuzzLocal proves that no answer about kubeadm's files breaks who reads it.
func FuzzLocal(f *testing.F) {
	f.Add("kubeadm v1.28.15\nmanifest kube-apiserver registry.k8s.io/kube-apiserver:v1.27.3\nmissing etcd /tmp/x\netcd 3.5.15-0\nmark apply v1.28.15 done\nplan v1.28.15 RUN\n")
	f.Add("manifest\nmanifest etcd\nmissing\netcd\nmark\nplan\nkubeadm\n")
	f.Fuzz(func(t *testing.T, stdout string) {
		l := parse(printable.Text(stdout))
		_ = l.worker() || l.reached(skew.Version{}) || l.begun(skew.Version{}) || l.etcdReached("3.5.15-0")
		said := []any{l.words(), l.tags, l.missing, l.planned}
		if err := l.whole("cp1", true); err != nil {
			said = append(said, err.Error())
		}
		hostile.Check(t, said, 0)
	})
}
