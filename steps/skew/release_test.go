package skew_test

import (
	"testing"

	"upgrader.dev/upgrader/steps/skew"
)

func TestOlderRelease(t *testing.T) {
	for _, tt := range []struct {
		version, than string
		want          bool
	}{
		{"1.6.20", "1.6.0", false}, {"1.5.9", "1.6.0", true}, {"1.6.20~ds1", "1.7", true}, {"1.7.0", "1.7", false},
		{"v2.1.4", "2.0", false}, {"1.10.0", "1.9.0", false}, {"3.5.7", "3.5.26", true}, {"1.6.20+deb", "1.6.20", false},
		{"unknown", "1.6", false}, {"1.6", "", false},
	} {
		if got := skew.OlderRelease(tt.version, tt.than); got != tt.want {
			t.Errorf("%s older than %s: %t", tt.version, tt.than, got)
		}
	}
}
