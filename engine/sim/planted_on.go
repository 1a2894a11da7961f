//go:build planted

package sim

import "upgrader.dev/upgrader/engine"

// plant plants a bug.
func plant(r *engine.Reducer, bug int) { r.Plant(bug) }
