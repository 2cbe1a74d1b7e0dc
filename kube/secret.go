package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

// Texts reads what sources name: entries of Secrets and ConfigMaps in namespace, and variables of the
// environment of o's workload. Each object is asked for once, so that the parts of a key fit together. A text
// is never part of an error.
func (c *Cluster) Texts(ctx context.Context, o *scaling.ScaledObject, namespace string, sources ...scaling.Source) ([]string, error) {
	type object struct {
		kind scaling.SourceKind
		name string
	}
	texts := make([]string, len(sources))
	answers := map[object][]byte{}
	for i, from := range sources {
		one := object{from.Kind, from.Name}
		if from.Kind == scaling.FromEnv {
			one.name = "" // all of them are the workload's
		}
		var err error
		if answers[one] == nil {
			if answers[one], err = c.holder(ctx, o, namespace, from); err != nil {
				return nil, err
			}
		}
		switch from.Kind {
		case scaling.FromSecret, scaling.FromConfigMap:
			if texts[i], err = entryIn(answers[one], from); err != nil {
				return nil, fmt.Errorf("read %s %s/%s: %w", from.Kind, namespace, from.Name, err)
			}
		case scaling.FromEnv:
			if texts[i], err = variableIn(answers[one], from); err != nil {
				return nil, fmt.Errorf("read env %s of %s: %w", from.Name, workloadName(o), err)
			}
		}
	}
	return texts, nil
}

// holder reads the object that holds what a source names.
func (c *Cluster) holder(ctx context.Context, o *scaling.ScaledObject, namespace string, from scaling.Source) ([]byte, error) {
	switch from.Kind {
	case scaling.FromSecret, scaling.FromConfigMap:
		resource := strings.ToLower(string(from.Kind)) + "s"
		answer, err := c.request(ctx, http.MethodGet, "/api/v1/namespaces/"+url.PathEscape(namespace)+"/"+resource+"/"+url.PathEscape(from.Name), nil)
		if err != nil {
			return nil, fmt.Errorf("read %s %s/%s: %w", from.Kind, namespace, from.Name, adviseRead(err, namespace, resource, from.Name))
		}
		return answer, nil
	case scaling.FromEnv:
		answer, err := c.part(ctx, o, http.MethodGet, "", nil)
		if err != nil {
			return nil, fmt.Errorf("read env %s of %s: %w", from.Name, workloadName(o), err)
		}
		return answer, nil
	}
	return nil, fmt.Errorf("read %s %s: it is none of Secret, ConfigMap and env", from.Kind, from.Name)
}

// entryIn takes one entry out of a Secret or a ConfigMap.
func entryIn(answer []byte, from scaling.Source) (string, error) {
	var object struct {
		Data map[string]string `json:"data"`
	}
	if json.Unmarshal(answer, &object) != nil { // whose error may show a part of the answer
		return "", fmt.Errorf("the answer is no %s", from.Kind)
	}
	text := object.Data[from.Key]
	if from.Kind == scaling.FromSecret {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", fmt.Errorf("its entry %q is not base64", from.Key)
		}
		text = string(decoded)
	}
	if text == "" {
		return "", fmt.Errorf("it has no entry %q, or an empty one", from.Key)
	}
	return text, nil
}

// adviseRead says what to do about an answer that people meet.
func adviseRead(err error, namespace, resource, name string) error {
	switch {
	case errors.Is(err, ErrForbidden):
		return fmt.Errorf("the Role in namespace %s does not allow get on %s of %s: apply `leda rbac` (%w)", namespace, resource, name, err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("create it, or mend what refers to it (%w)", err)
	}
	return err
}
