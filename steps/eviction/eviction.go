// Package eviction is the rules of a drain, for all that drain, foretell drains or explain them: the settings that a plan gives,
// what becomes of each pod, and when a PodDisruptionBudget refuses. It is pure: it looks at pods and budgets as they were
// read, and asks nobody. It may import engine and kube.
//
// The rules are kubectl's (pkg/drain/filters.go) and the API server's (pkg/registry/core/pod/storage/eviction.go).
package eviction

import (
	"fmt"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// Settings say how nodes are drained. Kinds embed them, so that a plan writes them in the same words everywhere.
type Settings struct {
	IgnoreDaemonSets bool          `yaml:"ignoreDaemonSets" default:"true" doc:"leave pods of DaemonSets where they are; without it they are an error"`
	DeleteEmptyDir   bool          `yaml:"deleteEmptyDir" doc:"evict pods with emptyDir volumes too: what is in these is lost"`
	Force            bool          `yaml:"force" doc:"evict pods without a controller too: they do not come back"`
	GracePeriod      time.Duration `yaml:"gracePeriod" doc:"time for each pod to end, in place of its own"`
	PodSelector      string        `yaml:"podSelector" doc:"evict only the pods that this label selector matches"`
}

// Validate checks the values that a plan gives.
func (s *Settings) Validate() error {
	if s.GracePeriod < 0 {
		return fmt.Errorf("gracePeriod is %s; give a duration such as 30s, or leave it out for each pod's own", s.GracePeriod)
	}
	_, err := s.Rules()
	return err
}

// Grace is how long a pod may take to end.
func (s *Settings) Grace(p kube.Pod) time.Duration {
	if s.GracePeriod > 0 {
		return s.GracePeriod
	}
	return p.Grace
}

// Rules are settings ready for use. The zero Rules ignore no DaemonSets, force nothing and select every pod.
type Rules struct {
	Settings
	selects func(labels map[string]string) bool // nil: every pod
}

// Rules reads the settings. The error is that of a podSelector which is none.
func (s *Settings) Rules() (Rules, error) {
	selects, err := kube.Selector(s.PodSelector)
	if err != nil {
		return Rules{}, fmt.Errorf("podSelector: %w", err)
	}
	return Rules{Settings: *s, selects: selects}, nil
}
