package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/leda-autoscaler/leda/scaling"
)

// SetStatus makes the status of a ScaledObject, which was before, another one, if the object still is the one that was
// read: else the error wraps [ErrConflict], and somebody else has had a reason to write. It returns the object as it is now.
func (o *Objects) SetStatus(ctx context.Context, object Object, before, status scaling.Status) (Object, error) {
	wrap := func(err error) error {
		return fmt.Errorf("write the status of %s %s/%s: %w", o.kind, o.namespace, object.Name, err)
	}
	patch, err := status.Patch(before)
	if err != nil {
		return object, wrap(err)
	}
	var body map[string]any
	if err := json.Unmarshal(patch, &body); err != nil {
		return object, wrap(err)
	}
	body["metadata"] = map[string]string{"resourceVersion": object.Version}
	if patch, err = json.Marshal(body); err != nil {
		return object, wrap(err)
	}
	answer, err := o.cluster.exchange(ctx, message{
		verb: http.MethodPatch, path: o.path() + "/" + url.PathEscape(object.Name) + "/status", body: patch,
		contentType: "application/merge-patch+json", most: maxAnswer,
	})
	switch {
	case errors.Is(err, ErrForbidden):
		return object, wrap(fmt.Errorf("the Role in namespace %s does not allow patch on %s/status: apply `leda rbac -source cluster` (%w)", o.namespace, o.resource(), err))
	case err != nil:
		return object, wrap(err)
	}
	now, err := o.open(answer)
	if err != nil {
		return object, wrap(err)
	}
	return now, nil
}
