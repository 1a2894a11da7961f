package sandbox

import (
	"encoding/json"
	"fmt"
)

// Put writes an object into the API as it is given, in JSON, in the place of the one of that name: for tests of what
// people do to their clusters. resource is its plural, such as "validatingwebhookconfigurations". Nothing acts on the
// object, and nothing is recorded.
func (c *Cluster) Put(resource, object string) error {
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tables[resource]
	if t == nil {
		return fmt.Errorf("the sandbox has no resource %q", resource)
	}
	o := t.fresh()
	if err := json.Unmarshal([]byte(object), o); err != nil {
		return fmt.Errorf("reading the %s: %w", t.kind, err)
	}
	if o.GetName() == "" || t.namespaced != (o.GetNamespace() != "") {
		return fmt.Errorf("the %s %q in namespace %q: it needs a name, and a namespace where the resource has one", t.kind, o.GetName(), o.GetNamespace())
	}
	if o.GetUID() == "" {
		o.SetUID(uid())
	}
	w.put(resource, o)
	return nil
}

// Object is an object of the API as JSON, to be changed and put back; "" if there is none. name is namespace/name where the
// resource has namespaces.
func (c *Cluster) Object(resource, name string) string {
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tables[resource]
	if t == nil || t.objects[name] == nil {
		return ""
	}
	return string(fieldsText(named(t, t.objects[name])))
}
