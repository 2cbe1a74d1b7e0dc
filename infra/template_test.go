package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	status := m.Run()
	jsii.Close() // ends the node process behind CDK and removes its files
	os.Exit(status)
}

// props deploys testdata's ScaledObjects. The code asset is any folder, so that nothing is built.
func props(t *testing.T) Props {
	t.Helper()
	code := t.TempDir()
	if err := os.WriteFile(filepath.Join(code, "bootstrap"), []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Props{
		Settings: Settings{Cluster: "prod", ScaledObjects: "testdata/scaledobjects", Queues: []Queue{{Name: "orders"}, {Name: "returns"}}},
		Code:     awslambda.Code_FromAsset(&code, nil),
	}
}

// newApp is as the CDK CLI makes it from cdk.json.
func newApp(t *testing.T) awscdk.App {
	t.Helper()
	return awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(t.TempDir()), Context: new(cdkJSON(t).Context), AnalyticsReporting: jsii.Bool(false)})
}

func somewhere() awscdk.Environment {
	return awscdk.Environment{Account: jsii.String("111111111111"), Region: jsii.String("eu-north-1")}
}

// synth returns the folder that cdk deploy would take.
func synth(t *testing.T, props Props) string {
	t.Helper()
	app := newApp(t)
	if _, err := NewStack(t.Context(), app, "Leda", somewhere(), props); err != nil {
		t.Fatal(err)
	}
	return *app.Synth(nil).Directory()
}

// object is a part of a template.
type object = map[string]any

// template is a synthesized CloudFormation template.
type template struct {
	Resources map[string]*resource
	Outputs   map[string]*output
}

type output struct{ Value any }

// text is what a person sees, without the folder of a file that synth wrote.
func (o *output) text() string {
	text := fmt.Sprint(plain(o.Value))
	if file, ok := strings.CutPrefix(text, "kubectl apply -f "); ok {
		return "kubectl apply -f " + filepath.Base(file)
	}
	return text
}

type resource struct {
	Type                string
	Properties          object
	DependsOn           []string `json:",omitempty"`
	DeletionPolicy      string   `json:",omitempty"`
	UpdateReplacePolicy string   `json:",omitempty"`
}

func readTemplate(t *testing.T, dir string) template {
	t.Helper()
	return decode[template](t, filepath.Join(dir, "Leda.template.json"))
}

func decode[T any](t *testing.T, file string) (value T) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// copied is for a test to break.
func (tm template) copied(t *testing.T) (other template) {
	t.Helper()
	data, err := json.Marshal(tm)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &other); err != nil {
		t.Fatal(err)
	}
	return other
}

// of lists the resources of a type, in the order of their ids.
func (tm template) of(kind string) []*resource {
	var all []*resource
	for _, id := range slices.Sorted(maps.Keys(tm.Resources)) {
		if tm.Resources[id].Type == kind {
			all = append(all, tm.Resources[id])
		}
	}
	return all
}

// where is the one resource of a type whose property is value; it is empty when there is none.
func (tm template) where(kind, property string, value any) *resource {
	for _, r := range tm.of(kind) {
		if r.Properties[property] == value {
			return r
		}
	}
	return &resource{Properties: object{}}
}

// id is the logical id of a resource.
func (tm template) id(wanted *resource) string {
	for id, r := range tm.Resources {
		if r == wanted {
			return id
		}
	}
	return "a resource that is not there"
}

func (tm template) function() *resource {
	return tm.where("AWS::Lambda::Function", "FunctionName", "leda")
}

func (tm template) queue(name string) *resource {
	return tm.where("AWS::SQS::Queue", "QueueName", name)
}

func (tm template) role(service string) *resource {
	for _, r := range tm.of("AWS::IAM::Role") {
		if cmp.Equal(at(r.Properties, "AssumeRolePolicyDocument", "Statement", 0, "Principal"), object{"Service": service}) {
			return r
		}
	}
	return &resource{Properties: object{}}
}

func (tm template) arn(r *resource) string { return tm.id(r) + ".Arn" }

// at walks into maps by name and lists by index; it is nil where there is no such place.
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			within, _ := value.(object)
			value = within[step]
		case int:
			within, _ := value.([]any)
			if step >= len(within) {
				return nil
			}
			value = within[step]
		}
	}
	return value
}

// plain replaces {"Ref": id} by id, {"Fn::GetAtt": [id, attribute]} by id.attribute and {"Fn::Join": [between, parts]} by
// their text, everywhere.
func plain(value any) any {
	switch value := value.(type) {
	case object:
		if id, ok := value["Ref"].(string); ok {
			return id
		}
		if parts, ok := value["Fn::GetAtt"].([]any); ok {
			return fmt.Sprintf("%v.%v", parts...)
		}
		if join, ok := value["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range list(plain(join[1])) {
				parts = append(parts, fmt.Sprint(part))
			}
			return strings.Join(parts, fmt.Sprint(join[0]))
		}
		other := object{}
		for key, v := range value {
			other[key] = plain(v)
		}
		return other
	case []any:
		other := make([]any, len(value))
		for i, v := range value {
			other[i] = plain(v)
		}
		return other
	}
	return value
}

// list makes a list of what may be one value, as policies are written.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	}
	return []any{value}
}

// grants lists what a role may do, as "action on resource", in order.
func (tm template) grants(role *resource) []string {
	var all []string
	for _, policy := range list(role.Properties["Policies"]) {
		for _, statement := range list(at(policy, "PolicyDocument", "Statement")) {
			for _, action := range list(at(statement, "Action")) {
				for _, on := range list(plain(at(statement, "Resource"))) {
					all = append(all, fmt.Sprintf("%v %v on %v", at(statement, "Effect"), action, on))
				}
			}
		}
	}
	for _, arn := range list(role.Properties["ManagedPolicyArns"]) {
		all = append(all, fmt.Sprintf("managed policy %v", plain(arn)))
	}
	for id, r := range tm.Resources { // policies may also be attached from outside
		if strings.HasPrefix(r.Type, "AWS::IAM::") && r.Type != "AWS::IAM::Role" {
			all = append(all, fmt.Sprintf("%s %s", r.Type, id))
		}
	}
	slices.Sort(all)
	return all
}

// differs is nil when got is exactly want.
func differs(what string, want, got any) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", what, diff)
	}
	return nil
}
