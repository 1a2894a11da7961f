package kube

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// FuzzTracks proves that no set of managed fields and no last applied configuration breaks who reads it, and that nothing
// hostile or long comes out.
func FuzzTracks(f *testing.F) {
	f.Add([]byte(`{"f:spec":{"f:containers":{"k:{\"name\":\"coredns\"}":{".":{},"f:image":{}}}},"f:metadata":{"f:finalizers":{"v:\"x\"":{}}}}`), `{"apiVersion":"policy/v1beta1"}`)
	f.Add([]byte(`{"f:\u001b]52":{},"k:{\"name\":\"\u202e\"}":[]}`), `{"apiVersion":"\u009b"}`)
	f.Fuzz(func(t *testing.T, fields []byte, applied string) {
		m := &metav1.ObjectMeta{Annotations: map[string]string{lastApplied: applied}, ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: &metav1.FieldsV1{Raw: fields}}}}
		hostile.Check(t, tracks(m), printable.Message)
	})
}

// A set of fields may be nested as deep as JSON goes.
func TestReadingFieldsCostsInProportion(t *testing.T) {
	for _, half := range []struct{ open, close string }{{`{"f:a":`, "}"}, {`{"k:{\"name\":\"a\"}":`, "}"}} {
		t.Run(half.open, func(t *testing.T) {
			hostile.InProportion(t, "x", func(text string) {
				n := len(text) / 4 // JSON is read ten thousand levels deep
				paths([]byte(strings.Repeat(half.open, n) + "{}" + strings.Repeat(half.close, n)))
			})
		})
	}
}

// FuzzSelector proves that no selector of a plan or a budget breaks who reads it.
func FuzzSelector(f *testing.F) {
	f.Add("app=shop,tier!=cache", "app", "shop")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		if selects, err := Selector(text); err == nil {
			_ = selects(map[string]string{key: value})
		}
	})
}
