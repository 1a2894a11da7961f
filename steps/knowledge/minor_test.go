package knowledge

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseMinorRefusesWhatIsNotAMinor(t *testing.T) {
	for _, s := range []string{"", "1", "1.", "1.0", "1.027", "1.27.3", "v1.27", "2.1", "1.-3", "1.+3", "1.999", " 1.27", "27"} {
		if m, err := ParseMinor(s); err == nil || m != 0 {
			t.Errorf("%q was read as %s", s, m)
		}
	}
}

func TestMinorsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Minor(rapid.IntRange(1, 255).Draw(t, "minor"))
		if got, err := ParseMinor(want.String()); err != nil || got != want {
			t.Errorf("%s was read as %s, %v", want, got, err)
		}
	})
	if s := Minor(0).String(); s != "none" {
		t.Errorf("the zero Minor is %q", s)
	}
}
