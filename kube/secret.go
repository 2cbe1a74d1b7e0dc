package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leda-autoscaler/leda/scaling"
)

// Secret reads one entry of a Secret. The value is never part of an error.
func (c *Cluster) Secret(ctx context.Context, namespace string, entry scaling.Source) (string, error) {
	answer, err := c.request(ctx, "GET", "/api/v1/namespaces/"+namespace+"/secrets/"+entry.Name, nil)
	if err != nil {
		if errors.Is(err, ErrForbidden) {
			err = fmt.Errorf("the Role in namespace %s does not allow get on it: apply `leda rbac` (%w)", namespace, err)
		}
		return "", fmt.Errorf("read Secret %s/%s: %w", namespace, entry.Name, err)
	}
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if err := json.Unmarshal(answer, &secret); err != nil {
		return "", fmt.Errorf("read Secret %s/%s: the answer is no Secret", namespace, entry.Name)
	}
	value, ok := secret.Data[entry.Key]
	if !ok || len(value) == 0 {
		return "", fmt.Errorf("read Secret %s/%s: it has no entry %q, or an empty one", namespace, entry.Name, entry.Key)
	}
	return string(value), nil
}
