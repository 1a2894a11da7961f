package survey

import (
	"slices"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/inquiry/inquirytest"
)

// hurried is a timeout that waits a fifth of a second for the two that hang, however long others take.
const hurried = `shift 3; case $1 in df | systemctl) exec "$(PATH=/usr/bin:/bin command -v timeout)" -k 0.2 0.2 "$@" ;; esac; exec "$@"`

// A program that hangs is named, it is not asked again, and what follows is told all the same.
func TestWhatHangsIsNamedAndTheRestIsTold(t *testing.T) {
	script := inquiry.Script(Wanted{}.question())
	h := Read("w1", inquiry.Read(inquirytest.Here(t, script, map[string]string{
		"timeout": hurried, "df": `trap '' TERM; while :; do sleep 1; done`, "systemctl": `sleep 1000`,
	})), time.Now(), time.Now())
	want := []string{
		"df -Pk / has not answered for 8s",
		"systemctl show -p LoadState -p ActiveState -p SubState -p NRestarts -p UnitFileState -p Result -p ExecMainStatus " +
			"-p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic kubelet.service has not answered for 8s",
		"systemctl show -p MainPID --value kubelet.service has not answered for 8s",
	}
	if !slices.Equal(h.Hung, want) {
		t.Errorf("%q", h.Hung)
	}
	if h.Kernel == "" || h.Now.IsZero() || len(h.Disks) > 0 || len(h.Units) > 0 {
		t.Errorf("%+v", h)
	}
}

// A host whose date(1) knows no nanoseconds, as BusyBox's may not, tells its clock by the second.
func TestAClockWithoutNanoseconds(t *testing.T) {
	commands := map[string]string{"date": `[ "$1" != +%s.%N ] || echo 1795319344.%N`, "timeout": hurried}
	h := Read("w1", inquiry.Read(inquirytest.Here(t, inquiry.Script(Wanted{}.question()), commands)), time.Now(), time.Now())
	if !h.Now.Equal(time.Unix(1795319344, 0)) {
		t.Errorf("%s", h.Now)
	}
}
