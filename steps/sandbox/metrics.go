package sandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// A DeprecatedAPI is a version of a resource that Kubernetes will serve no longer from a minor version on.
type DeprecatedAPI struct {
	Group, Version, Resource string
	RemovedIn                string // "1.29"
}

// Metrics is what the API server of a host serves at /metrics.
func (w *world) Metrics(host string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.metrics(host)
}

func (w *world) metrics(host string) string {
	h := w.hosts[host]
	if h == nil || !h.control {
		return ""
	}
	s := h.statics["kube-apiserver"]
	var b strings.Builder
	if len(s.asked) > 0 {
		b.WriteString("# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.\n# TYPE apiserver_requested_deprecated_apis gauge\n")
	}
	for _, a := range s.asked {
		fmt.Fprintf(&b, "apiserver_requested_deprecated_apis{group=%q,removed_release=%q,resource=%q,subresource=\"\",version=%q} 1\n", a.Group, a.RemovedIn, a.Resource, a.Version)
	}
	began := strconv.FormatFloat(float64(s.since.UnixMilli())/1000, 'g', -1, 64)
	b.WriteString("# HELP process_start_time_seconds [ALPHA] Start time of the process since unix epoch in seconds.\n# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds " + began + "\n")
	return b.String()
}
