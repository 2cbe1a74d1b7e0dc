package infra

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// AWS's quotas, which no request can raise but for the managed policies of a role.
const (
	templateResources = 500
	templateBytes     = 1_000_000
	functionPolicy    = 20 * 1024
)

// fleetOf writes as many ScaledObjects, each with a queue, and returns their folder.
func fleetOf(t *testing.T, targets int) string {
	t.Helper()
	folder := t.TempDir()
	for part := range 4 {
		var text strings.Builder
		for i := part; i < targets; i += 4 {
			name := fmt.Sprintf("order-processing-worker-%05d", i)
			text.WriteString(scaledObject(name, name, "eu-north-1"))
		}
		text.WriteString(strings.ReplaceAll(role, "namespace: shop", fmt.Sprintf("namespace: shop-%d", part)))
		all := strings.ReplaceAll(text.String(), "namespace: shop}", fmt.Sprintf("namespace: shop-%d}", part))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.yaml", part)), []byte(all), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestAThousandTargetsStayUnderEveryQuota(t *testing.T) {
	for _, test := range []struct {
		name     string
		targets  int
		settings Settings
		memory   float64
		policies int // managed ones
	}{
		{"1,000 targets with alarms, their queues named by a pattern", 1000, Settings{Alarms: new(true), Shards: 4, ReadableQueues: []string{"order-processing-*"}}, 512, 0},
		{"800 targets, each queue named", 800, Settings{}, 512, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := props(t)
			p.Settings = test.settings
			p.Cluster, p.ScaledObjects = "prod", fleetOf(t, test.targets)
			dir := synth(t, p)
			templates := templatesIn(t, dir)
			if err := underQuotas(templates); err != nil {
				t.Error(err)
			}
			alarms, policies := 0, 0
			for file, tm := range templates {
				info, err := os.Stat(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d resources, %d bytes", file, len(tm.Resources), info.Size())
				if info.Size() > templateBytes { // as it is uploaded, with white space
					t.Errorf("%s: %d bytes, and AWS allows %d", file, info.Size(), templateBytes)
				}
				alarms += len(tm.alarms(true))
				policies += len(tm.of("AWS::IAM::ManagedPolicy"))
			}
			want := 0
			if p.Alarms != nil {
				want = test.targets
			}
			if alarms != want {
				t.Errorf("got %d alarms, want %d", alarms, want)
			}
			if policies != test.policies {
				t.Errorf("got %d managed policies, want %d", policies, test.policies)
			}
			if got := templates["Leda.template.json"].function().Properties["MemorySize"]; got != test.memory {
				t.Errorf("got %v MB of memory, want %v", got, test.memory)
			}
		})
	}
}

func TestQuotasAreSeen(t *testing.T) {
	long := strings.Repeat("x", 9000)
	statement := func(resource string) object {
		return object{"PolicyDocument": object{"Statement": []any{object{"Effect": "Allow", "Action": "sqs:GetQueueAttributes", "Resource": resource}}}}
	}
	many := map[string]*resource{}
	for i := range templateResources + 1 {
		many[fmt.Sprint("R", i)] = &resource{Type: "AWS::SNS::Topic"}
	}
	permissions := map[string]*resource{}
	for i := range 60 {
		permissions[fmt.Sprint("P", i)] = &resource{Type: "AWS::Lambda::Permission", Properties: object{"SourceArn": strings.Repeat("x", 400)}}
	}
	for name, broken := range map[string]template{
		"resources":        {Resources: many},
		"bytes":            {Resources: map[string]*resource{"R": {Type: "x", Properties: object{"a": strings.Repeat("x", templateBytes)}}}},
		"inline policy":    {Resources: map[string]*resource{"R": {Type: "AWS::IAM::Role", Properties: object{"Policies": []any{statement(long), statement(long)}}}}},
		"managed policy":   {Resources: map[string]*resource{"R": {Type: "AWS::IAM::ManagedPolicy", Properties: statement(long)}}},
		"managed policies": {Resources: map[string]*resource{"R": {Type: "AWS::IAM::Role", Properties: object{"ManagedPolicyArns": make([]any, 11)}}}},
		"function policy":  {Resources: permissions},
	} {
		if underQuotas(map[string]template{name: broken}) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}

// templatesIn reads the stack's template and those of its nested stacks.
func templatesIn(t *testing.T, dir string) map[string]template {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no template", err)
	}
	templates := map[string]template{}
	for _, file := range files {
		templates[filepath.Base(file)] = decode[template](t, file)
	}
	return templates
}

func underQuotas(templates map[string]template) error {
	var problems []error
	within := func(what string, limit, got int) {
		if got > limit {
			problems = append(problems, fmt.Errorf("%s: %d, and AWS allows %d", what, got, limit))
		}
	}
	permissions := 0
	for file, tm := range templates {
		within(file+": resources", templateResources, len(tm.Resources))
		within(file+": bytes", templateBytes, size(tm))
		for id, r := range tm.Resources {
			switch r.Type {
			case "AWS::IAM::Role":
				inline := 0
				for _, policy := range list(r.Properties["Policies"]) {
					inline += size(resolved(at(policy, "PolicyDocument")))
				}
				within(id+": characters of inline policies", inlineCharacters, inline)
				within(id+": managed policies", managedPolicies, len(list(r.Properties["ManagedPolicyArns"])))
			case "AWS::IAM::ManagedPolicy":
				within(id+": characters", managedCharacters, size(resolved(r.Properties["PolicyDocument"])))
			case "AWS::Lambda::Permission":
				const frame = 350 // what Lambda makes of a permission beside its values
				permissions += frame + size(resolved(r.Properties))
			}
		}
	}
	within("the function's policy", functionPolicy, permissions)
	return errors.Join(problems...)
}

// resolved replaces what CloudFormation fills in by something as long.
func resolved(value any) any {
	switch value := value.(type) {
	case object:
		if value["Ref"] != nil || value["Fn::GetAtt"] != nil {
			return strings.Repeat("x", ownQueueCharacters)
		}
		other := object{}
		for key, v := range value {
			other[key] = resolved(v)
		}
		return other
	case []any:
		other := make([]any, len(value))
		for i, v := range value {
			other[i] = resolved(v)
		}
		return other
	}
	return value
}

func size(value any) int {
	encoded, err := json.Marshal(value)
	if err != nil {
		return 0
	}
	return len(encoded)
}
