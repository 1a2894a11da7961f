package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// applyPatch changes a document by a patch of one of the three kinds that a client sends. like is an object of the
// document's type.
func applyPatch(contentType string, document, patch []byte, like object) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = contentType
	}
	var after []byte
	switch types.PatchType(kind) {
	case types.MergePatchType:
		after, err = mergePatch(document, patch)
	case types.StrategicMergePatchType:
		after, err = strategicpatch.StrategicMergePatch(document, patch, like)
	case types.JSONPatchType:
		after, err = jsonPatch(document, patch)
	default:
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
			Message: fmt.Sprintf("the sandbox takes merge, strategic merge and JSON patches, not %q", contentType),
		}}
	}
	if err != nil {
		return nil, apierrors.NewBadRequest("applying the patch: " + err.Error())
	}
	return after, nil
}

// mergePatch is RFC 7386.
func mergePatch(document, patch []byte) ([]byte, error) {
	var d, p any
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	return json.Marshal(merge(d, p))
}

func merge(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = merge(t[k], v)
		}
	}
	return t
}

// An operation is one of a JSON patch, RFC 6902. Of the six there are, move and copy are not served.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func jsonPatch(document, patch []byte) ([]byte, error) {
	var d any
	var operations []operation
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &operations); err != nil {
		return nil, err
	}
	for _, o := range operations {
		if err := o.apply(d); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Op, o.Path, err)
		}
	}
	return json.Marshal(d)
}

// apply works on members of objects only, which is what patches of nodes and leases need.
func (o operation) apply(document any) error {
	parts := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	at, ok := document.(map[string]any)
	for _, p := range parts[:len(parts)-1] {
		if ok {
			at, ok = at[p].(map[string]any)
		}
	}
	if !ok {
		return fmt.Errorf("there is no object at the path")
	}
	last := parts[len(parts)-1]
	old, there := at[last]
	switch {
	case o.Op == "add", o.Op == "replace" && there:
		at[last] = o.Value
	case o.Op == "remove" && there:
		delete(at, last)
	case o.Op == "test" && reflect.DeepEqual(old, o.Value):
	case o.Op == "test":
		return fmt.Errorf("the value is %v", old)
	case o.Op == "replace", o.Op == "remove":
		return fmt.Errorf("there is nothing at the path")
	default:
		return fmt.Errorf("the operation is not served by the sandbox")
	}
	return nil
}

// difference words what changed between two maps: ", annotation a=b (was c)".
func difference(what string, was, now map[string]string) string {
	var s strings.Builder
	keys := maps.Clone(was)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, now)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		before, had := was[k]
		after, has := now[k]
		switch {
		case had && !has:
			fmt.Fprintf(&s, ", %s %s removed (was %s)", what, k, before)
		case has && (!had || before != after):
			fmt.Fprintf(&s, ", %s %s=%s", what, k, after)
		}
	}
	return s.String()
}
