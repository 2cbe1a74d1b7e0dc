package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/leda-autoscaler/leda/scaling"
)

// Text reads what a source names: an entry of a Secret or a ConfigMap in namespace, or a variable of the
// environment of o's workload. The text is never part of an error.
func (c *Cluster) Text(ctx context.Context, o *scaling.ScaledObject, namespace string, from scaling.Source) (string, error) {
	switch from.Kind {
	case scaling.FromSecret:
		return c.entry(ctx, namespace, "secrets", from)
	case scaling.FromConfigMap:
		return c.entry(ctx, namespace, "configmaps", from)
	case scaling.FromEnv:
		return c.variable(ctx, o, from)
	}
	return "", fmt.Errorf("read %s %s: it is none of Secret, ConfigMap and env", from.Kind, from.Name)
}

// entry reads one entry of a Secret or a ConfigMap.
func (c *Cluster) entry(ctx context.Context, namespace, resource string, from scaling.Source) (string, error) {
	wrap := func(err error) error { return fmt.Errorf("read %s %s/%s: %w", from.Kind, namespace, from.Name, err) }

	answer, err := c.request(ctx, "GET", "/api/v1/namespaces/"+namespace+"/"+resource+"/"+from.Name, nil)
	if err != nil {
		return "", wrap(adviseRead(err, namespace, resource, from.Name))
	}
	value := ""
	if resource == "secrets" {
		var secret struct {
			Data map[string][]byte `json:"data"` // base64
		}
		err = json.Unmarshal(answer, &secret)
		value = string(secret.Data[from.Key])
	} else {
		var configMap struct {
			Data map[string]string `json:"data"`
		}
		err = json.Unmarshal(answer, &configMap)
		value = configMap.Data[from.Key]
	}
	switch {
	case err != nil: // whose text may show a part of the answer
		return "", wrap(fmt.Errorf("the answer is no %s", from.Kind))
	case value == "":
		return "", wrap(fmt.Errorf("it has no entry %q, or an empty one", from.Key))
	}
	return value, nil
}

// adviseRead says what to do about an answer that people meet.
func adviseRead(err error, namespace, resource, name string) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the Role in namespace %s does not allow get on %s of %s: apply `leda rbac` (%w)", namespace, resource, name, err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("create it, or mend what refers to it (%w)", err)
	}
	return err
}
