package census

import "testing"

// FuzzLookup proves that no ClusterConfiguration breaks who looks something up in it.
func FuzzLookup(f *testing.F) {
	f.Add("etcd:\n  local:\n    imageTag: 3.5.15-0\nkubernetesVersion: v1.27.3\n")
	f.Add(" etcd:\netcd:\n   local:\n  local:\n :\n-\n#\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = lookup(text, "etcd", "local", "imageTag")
		_, _ = lookup(text, "kubernetesVersion")
		_ = Tag([]string{text}, "etcd")
	})
}
