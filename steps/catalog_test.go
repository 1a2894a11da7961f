package steps

import (
	"reflect"
	"testing"
)

// The defaults of a kind stand in its tags only, where schema, reference page and decoder find them: New makes no setting.
func TestNewMakesNoSettings(t *testing.T) {
	catalog, err := Catalog(Deps{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range catalog.Kinds() {
		step := reflect.ValueOf(k.New()).Elem()
		for f, v := range step.Fields() {
			if name := f.Tag.Get("yaml"); name != "" && !v.IsZero() {
				t.Errorf("%s: %s is %v before anything was decoded: give it a default tag", k.Name, name, v)
			}
		}
	}
}
