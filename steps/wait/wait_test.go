package wait

import (
	"errors"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// The wait counts from when the step first started, whatever happened to the process since.
func TestWait(t *testing.T) {
	start := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	w := &wait{For: 10 * time.Minute}
	for passed, want := range map[time.Duration]string{
		0:                                "until 10:10:00 (10m0s in all)",
		10*time.Minute - time.Nanosecond: "until 10:10:00 (10m0s in all)",
		10 * time.Minute:                 "",
		time.Hour:                        "",
	} {
		changes, err := w.Observe(t.Context(), engine.Scene{Since: start, Now: start.Add(passed)})
		not, _ := errors.AsType[*engine.NotYetError](err)
		if len(changes) > 0 || (want == "") != (err == nil) || want != "" && (not == nil || not.Why != want) {
			t.Errorf("after %v: %v", passed, err)
		}
	}
}

func TestValidate(t *testing.T) {
	if (&wait{}).Validate() == nil || (&wait{For: -1}).Validate() == nil || (&wait{For: time.Second}).Validate() != nil {
		t.Error("only a positive duration is a wait")
	}
}
