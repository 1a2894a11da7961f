package journal

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// plainly encodes a record's body as encoding/json does.
func plainly(t rapid.TB, r Record) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return b[:len(b)-1]
}

// agree checks that fast reads nothing that encoding/json would not read, and reads it as the same record.
func agree(t rapid.TB, d decoder, body []byte) (fast bool) {
	t.Helper()
	var quick, slow Record
	if !d.fast(body, &quick) {
		return false
	}
	if err := json.Unmarshal(append(append([]byte(nil), body...), '}'), &slow); err != nil {
		t.Fatalf("%q is read as %+v, but encoding/json says: %v", body, quick, err)
	}
	if !reflect.DeepEqual(quick, slow) {
		t.Fatalf("%q is read as\n%#v, but encoding/json reads\n%#v", body, quick, slow)
	}
	return true
}

func anyRecord(t *rapid.T) Record {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`[a-z0-9@./"\\<>& -]{0,40}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	number := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64(), rapid.Int64Range(0, 100))
	table := rapid.OneOf(rapid.Just(map[string]string(nil)), rapid.MapOfN(text, text, 0, 3))
	instant := func(name string) time.Time {
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, name+"'s nanoseconds"))
		return at.In(rapid.SampledFrom([]*time.Location{time.UTC, time.Local, time.FixedZone("", 7200), time.FixedZone("", -34200)}).Draw(t, name+"'s zone"))
	}
	r := Record{Kind: Kind(text.Draw(t, "kind")), Time: instant("time"), Facts: table.Draw(t, "facts"), Hosts: table.Draw(t, "hosts")}
	if rapid.Bool().Draw(t, "ends") {
		r.Until = instant("until")
	}
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.CanInt():
			f.SetInt(number.Draw(t, v.Type().Field(i).Name))
		case f.Kind() == reflect.String:
			f.SetString(text.Draw(t, v.Type().Field(i).Name))
		}
	}
	return r
}

func TestARecordIsWrittenAndReadAsEncodingJSONWould(t *testing.T) {
	d := newDecoder()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord(t)
		want := plainly(t, r)
		got, err := appendBody(nil, &r)
		if err != nil || string(got) != string(want) {
			t.Fatalf("written as\n%s (%v)\nencoding/json writes\n%s", got, err, want)
		}
		agree(t, d, got)
		var read, slow Record
		if err := d.decode(got, &read); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if err := json.Unmarshal(append(got, '}'), &slow); err != nil || !reflect.DeepEqual(read, slow) {
			t.Fatalf("%s is read as\n%#v, but encoding/json reads (%v)\n%#v", got, read, err, slow)
		}
	})
}

// What a run writes takes the fast way, or a long journal is read slowly and nobody notices.
func TestWhatARunWritesIsReadFast(t *testing.T) {
	d := newDecoder()
	begin := Record{Seq: 1, Time: time.Now(), Kind: Begin, Format: Format, Digest: "sha256:0", Facts: map[string]string{"version@cp1": "1.27.16"}}
	down := Record{Seq: 2, Time: time.Now(), Kind: Down, Group: "workers", Hosts: map[string]string{"w1": "not Ready", "w2": "cordoned"}}
	said := Record{Seq: 3, Time: time.Now(), Kind: Wait, Why: "café \"shop\" <none> & more:\n\tlast words"}
	for i, r := range append([]Record{begin, down, said}, at(0), at(1), at(2), at(3), at(4), at(5), at(6)) {
		r.Seq = int64(i + 1)
		if body := plainly(t, r); !agree(t, d, body) {
			t.Errorf("%s: is not read fast", body)
		}
	}
}

func TestATimeThatHasNoJSONIsAnError(t *testing.T) {
	j, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	late := Record{Kind: Wait, Until: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err := j.Append(Record{Kind: Start}, late); err == nil || !strings.Contains(err.Error(), "record 2") {
		t.Errorf("the year 10000 was written: %v", err)
	}
	if err := j.Append(Record{Kind: End}); err != nil {
		t.Error(err)
	}
	if got, err := read(strings.TrimSuffix(j.f.Name(), Name)); err != nil || len(got) != 1 || got[0].Kind != End {
		t.Errorf("%v, %v; want the end alone", got, err)
	}
}

// The decoder remembers words, so every body is read after others, and twice.
func FuzzDecode(f *testing.F) {
	for i := range 14 {
		r := at(i)
		r.Seq = int64(i)
		f.Add(plainly(f, r))
	}
	for _, body := range []string{
		`{"seq":1,"time":"2026-01-02T15:04:05+02:00","kind":"a\"b\u003c\u00e9\\","who":"é"`,
		`{"seq":1,"time":"0000-01-01T0:00:00.0Z","kind":"an hour of one digit, after which the point stands elsewhere"`,
		`{"seq":01,"time":"2026-01-02T15:04:05Z","kind":"x"`,
		`{"seq":-1,"time":null,"kind":null,"attempt":99999999999999999999`,
		`{"seq":1,"time":"2026-01-02T15:04:05Z","kind":"x","facts":{},"hosts":{"a":"b","a":"c"}`,
		`{"seq":1,"time":"2026-01-02T15:04:05Z","kind":"\` + "\xff" + `","say":"` + "\x00" + `"`,
	} {
		f.Add([]byte(body))
	}
	d := newDecoder()
	f.Fuzz(func(t *testing.T, body []byte) {
		agree(t, d, body)
		agree(t, d, body)
	})
}
