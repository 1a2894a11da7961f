package preflight

import (
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/finding"
)

// lastsFor is how long credentials should last at least: an upgrade of a small cluster takes as long.
const lastsFor = time.Hour

// credentials: those of the kubeconfig outlast the upgrade. What renews itself, or stands in a file of its own that somebody
// may renew, is believed to.
func credentials(v *View) []finding.Finding {
	c := v.Credentials
	if c.Ends.IsZero() || c.Renewable || c.Ends.Sub(v.Now) >= lastsFor {
		return nil
	}
	f := finding.Finding{Severity: finding.Warning, Where: engine.Cluster, Remedy: c.Advice,
		What:     c.What + " ends in " + days(c.Ends.Sub(v.Now)),
		Evidence: "it ends at " + c.Ends.Local().Format(time.DateTime) + "; the upgrade stops where it is then, and goes on with a new one"}
	if c.Ends.Before(v.Now) { // the API server has another clock
		f.What = c.What + " has ended by the clock of this machine"
	}
	return []finding.Finding{f}
}
