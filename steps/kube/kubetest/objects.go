package kubetest

import (
	"encoding/json"
	"maps"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

func podPath(namespace, name string) string {
	return "/api/v1/namespaces/" + namespace + "/pods/" + name
}

func strs(m map[string]string) object {
	o := object{}
	for k, v := range m {
		o[k] = v
	}
	return o
}

func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func words(list []string) []any {
	all := []any{}
	for _, word := range list {
		all = append(all, word)
	}
	return all
}

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// micro is the form of a Lease's times.
func micro(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

func truth(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func volumes(p kube.Pod) []any {
	list := []any{}
	if p.EmptyDir {
		list = append(list, object{"name": "scratch", "emptyDir": object{}})
	}
	for _, claim := range p.Claims {
		list = append(list, object{"name": claim, "persistentVolumeClaim": object{"claimName": claim}})
	}
	return list
}

func containers(p kube.Pod) []any {
	list := []any{}
	for _, image := range p.Images {
		list = append(list, object{"name": "c", "image": image})
	}
	return list
}

// at follows keys into an object; nil if there is nothing.
func at(o object, keys ...string) any {
	var v any = o
	for _, k := range keys {
		m, ok := v.(object)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func str(o object, keys ...string) string { s, _ := at(o, keys...).(string); return s }

func number(o object, keys ...string) int {
	switch n := at(o, keys...).(type) {
	case int:
		return n
	case float64:
		return int(n)
	}
	return 0
}

func set(o object, value any, keys ...string) {
	for _, k := range keys[:len(keys)-1] {
		next, ok := o[k].(object)
		if !ok {
			next = object{}
			o[k] = next
		}
		o = next
	}
	o[keys[len(keys)-1]] = value
}

// clone copies an object through JSON, so that nothing is shared with what a test holds.
func clone(o object) object {
	raw, err := json.Marshal(o)
	if err != nil {
		panic("kubetest: " + err.Error())
	}
	var c object
	if err := json.Unmarshal(raw, &c); err != nil {
		panic("kubetest: " + err.Error())
	}
	return c
}

// merge applies a JSON merge patch (RFC 7396).
func merge(o, patch object) {
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(o, k)
		case object:
			inner, ok := o[k].(object)
			if !ok {
				inner = object{}
				o[k] = inner
			}
			merge(inner, v)
		default:
			o[k] = v
		}
	}
}

// covers says whether a match of labels holds for an object.
func covers(match any, o object) bool {
	want, _ := match.(object)
	labels, _ := at(o, "metadata", "labels").(object)
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return match != nil
}
