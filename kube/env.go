package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

// podTemplate is the part of any workload with spec.template that says what its containers' environments are.
type podTemplate struct {
	Spec struct {
		Template struct {
			Spec struct {
				Containers []container `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type container struct {
	Name string `json:"name"`
	Env  []struct {
		Name      string          `json:"name"`
		Value     string          `json:"value"`
		ValueFrom json.RawMessage `json:"valueFrom"`
	} `json:"env"`
	EnvFrom []json.RawMessage `json:"envFrom"`
}

// variableIn takes a variable of a container out of a workload, where it is a literal: what a pod would take
// from a Secret, a ConfigMap or its own fields is not read.
func variableIn(answer []byte, from scaling.Source) (string, error) {
	var workload podTemplate
	if json.Unmarshal(answer, &workload) != nil { // whose error may show a part of the answer
		return "", errors.New("the answer is no workload")
	}
	containers := workload.Spec.Template.Spec.Containers
	if len(containers) == 0 {
		return "", errors.New("it has no spec.template with containers; write the value where the variable is referred to")
	}
	if from.Key == "" {
		from.Key = containers[0].Name
	}
	for _, one := range containers {
		if one.Name == from.Key {
			value, err := one.literal(from.Name)
			if err != nil {
				return "", fmt.Errorf("container %s: %w", one.Name, err)
			}
			return value, nil
		}
	}
	return "", fmt.Errorf("it has no container %s", from.Key)
}

// literal is the value that a pod would see, as Kubernetes puts it together: a $(NAME) in it is the
// variable of that name before it, $$ is $, and of two of the same name the later counts.
func (c container) literal(name string) (string, error) {
	const wayOut = "; only a literal value is, so write one, or write the value where the variable is referred to"
	known := map[string]string{}
	problems := map[string]error{}
	for _, v := range c.Env {
		var problem error
		if len(v.ValueFrom) > 0 && string(v.ValueFrom) != "null" {
			problem = errors.New("it has valueFrom, which is not read" + wayOut)
		}
		value := expand(v.Value, func(name string) string {
			text, ok := known[name]
			if !ok {
				problem = fmt.Errorf("it refers to $(%s), which is no literal before it and is not read%s", name, wayOut)
			}
			return text
		})
		if known[v.Name], problems[v.Name] = value, problem; problem != nil {
			delete(known, v.Name)
		}
	}
	value, ok := known[name]
	switch {
	case problems[name] != nil:
		return "", problems[name]
	case !ok && len(c.EnvFrom) > 0:
		return "", errors.New("it is not in env; what envFrom brings is not read" + wayOut)
	case !ok:
		return "", errors.New("it is not in env")
	case value == "":
		return "", errors.New("it is empty")
	}
	return value, nil
}

// expand replaces each $(NAME) in a text, and $$ by $.
func expand(text string, value func(name string) string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if text = after; strings.HasPrefix(text, "$") {
			b.WriteByte('$')
			text = text[1:]
			continue
		}
		name, rest, closed := strings.Cut(text, ")")
		if name, open := strings.CutPrefix(name, "("); open && closed {
			b.WriteString(value(name))
			text = rest
			continue
		}
		b.WriteByte('$')
	}
}
