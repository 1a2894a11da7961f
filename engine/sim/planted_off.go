//go:build !planted

package sim

import "upgrader.dev/upgrader/engine"

// plant does nothing: there are no bugs to plant.
func plant(*engine.Reducer, int) {}
