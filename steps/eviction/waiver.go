package eviction

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// DeleteCheck is the check whose waivers let a drain delete pods that their budgets keep. A waiver of drain.budget does not.
const DeleteCheck = "drain.delete"

// DeletePlaces is what the places of such waivers look like: a pod, or what owns it, in one namespace, as in shop/cart-*.
const DeletePlaces = `[a-z0-9-]+/.+`

// MayDelete returns the plan's waiver that lets a pod be deleted past its budget, and the place in which it names it: the pod's, or its
// controller's. False if there is none.
func MayDelete(waivers []engine.Waiver, p kube.Pod, now time.Time) (w engine.Waiver, place string, may bool) {
	places := []string{p.String()}
	if p.Owner != "" {
		places = append(places, p.Namespace+"/"+p.Owner)
	}
	for _, place := range places {
		covers := func(w engine.Waiver) bool { return w.Where != "" && w.Covers(DeleteCheck, place, now) }
		if i := slices.IndexFunc(waivers, covers); i >= 0 {
			return waivers[i], place, true
		}
	}
	return engine.Waiver{}, "", false
}
