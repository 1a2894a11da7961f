package kubetest

import (
	"encoding/json"
	"testing"
)

// Set adds or replaces any object by its API path, such as /api/v1/nodes/w1, with the fields that its JSON text gives:
// for what SetNode, SetPod and the others leave out.
func (s *Server) Set(t testing.TB, path, text string) {
	t.Helper()
	o := object{}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	s.put(path, o)
}
