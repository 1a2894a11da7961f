package kube

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"upgrader.dev/upgrader/engine"
)

// Admission stands before every write: webhooks and policies of the cluster, which may be slow, away or against it. What it
// says is an answer for now, by which nothing was changed.

// admissionSays is what admission says in place of letting a write through. A webhook chooses the status code of its denial, so
// the words tell, which the API server puts before the webhook's own (k8s.io/apiserver: pkg/admission/plugin/webhook/errors,
// pkg/util/webhook/error.go, pkg/admission/plugin/policy), behind those of the code.
func admissionSays(err error) (said string, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return "", false
	}
	said = strings.TrimPrefix(err.Error(), "Internal error occurred: ") // apierrors.NewInternalError
	if speaksOfAdmission(said) {
		return said, true
	}
	_, reason, _ := strings.Cut(said, " is forbidden: ") // apierrors.NewForbidden
	return reason, speaksOfAdmission(reason)
}

func speaksOfAdmission(said string) bool {
	begins := func(with string) bool { return strings.HasPrefix(said, with) }
	switch {
	case begins(`admission webhook "`), begins(`failed calling webhook "`):
		return true
	case begins("ValidatingAdmissionPolicy '"), begins("policy '"), begins(`policy "`):
		return strings.Contains(said, " denied request: ")
	}
	return said == "not yet ready to handle request" // the server has just started, and does not know its webhooks yet
}

// heldUp makes an answer of admission to a change one to wait for; any other is left to be judged.
func heldUp(what string, err error) (final bool, _ error) {
	if said, ok := admissionSays(err); ok {
		return true, engine.NotYet("%s waits: %s", what, said)
	}
	return false, err
}
