package scaling

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// A File is one manifest: YAML (several documents, kind: List too) or JSON.
type File struct {
	Name string // for messages
	Data []byte
}

// Manifests is what a set of files describes.
type Manifests struct {
	ScaledObjects []ScaledObject
	Notes         Problems // what is accepted without effect
}

// Parse reads, defaults and validates every ScaledObject in the files and resolves what it refers to.
// The error, if any, is [Problems]: every problem of every file at once, each with its file, object and path.
func Parse(files ...File) (Manifests, error) { return parseFiles(files, true) }

// ParseWithoutCredentials is Parse for who reads no trigger: it does not ask with whose credentials that would be.
func ParseWithoutCredentials(files ...File) (Manifests, error) { return parseFiles(files, false) }

func parseFiles(files []File, credentials bool) (Manifests, error) {
	var documents []document
	var problems Problems
	for _, file := range files {
		found, err := split(file)
		documents = append(documents, found...)
		if err != nil {
			problems = append(problems, Problem{File: file.Name, Message: err.Error()})
		}
	}
	parsed, err := parse(documents, credentials)
	var more Problems
	if errors.As(err, &more) {
		problems = append(problems, more...)
	}
	if len(problems) > 0 {
		return Manifests{}, problems
	}
	return parsed, nil
}

// ParseJSON is Parse for objects that are JSON already, as synth ships them and an API server answers them. It has no
// notes: these are for people, and finding some of them costs more than all the rest.
func ParseJSON(objects ...json.RawMessage) (Manifests, error) {
	documents := make([]document, 0, len(objects))
	for _, object := range objects {
		d := document{text: object, quiet: true}
		var head struct{ APIVersion, Kind string }
		if json.Unmarshal(object, &head) != nil || head.APIVersion != apiVersion || head.Kind != "ScaledObject" {
			if err := d.decode(); err != nil {
				return Manifests{}, Problems{{Message: err.Error()}}
			}
		}
		documents = append(documents, d)
	}
	return parse(documents, true)
}

// Documents splits files into the objects they hold, each as JSON, in order; kind: List is opened.
func Documents(files ...File) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for _, file := range files {
		documents, err := split(file)
		if err != nil {
			return nil, Problems{{File: file.Name, Message: err.Error()}}
		}
		for _, d := range documents {
			encoded, err := json.Marshal(d.body)
			if err != nil {
				return nil, fmt.Errorf("write %s as JSON: %w", d.file, err)
			}
			all = append(all, encoded)
		}
	}
	return all, nil
}

// document is one object of a file, not yet looked at.
type document struct {
	file  string
	body  map[string]any
	text  json.RawMessage // a ScaledObject that is decoded in its turn: all at once would be half of a large fleet's memory
	quiet bool            // nobody reads the notes
}

// decode makes the body of the text.
func (d *document) decode() (err error) {
	d.body, err = decode(d.text)
	d.text = nil
	return err
}

const apiVersion = "keda.sh/v1alpha1"

// maxFile bounds what is parsed: all ScaledObjects of the biggest clusters are a tenth of it.
const maxFile = 8 << 20

func split(file File) ([]document, error) {
	if len(file.Data) > maxFile {
		return nil, fmt.Errorf("must have at most %d MiB, got %.1f; divide it into several files", maxFile>>20, float64(len(file.Data))/(1<<20))
	}
	var documents []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file.Data)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			if len(documents) == 0 {
				return nil, errors.New("holds no object; a ScaledObject was expected")
			}
			return documents, nil
		}
		if err != nil {
			return documents, fmt.Errorf("cannot be read: %w", err)
		}
		converted, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			return documents, fmt.Errorf("is not valid YAML: %w", err)
		}
		if string(converted) == "null" { // only comments
			continue
		}
		body, err := decode(converted)
		if err != nil {
			return documents, err
		}
		opened, err := open(document{file: file.Name, body: body})
		documents = append(documents, opened...)
		if err != nil {
			return documents, err
		}
	}
}

func decode(data []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var body map[string]any
	if err := decoder.Decode(&body); err != nil {
		return nil, errors.New("is not a Kubernetes object: a mapping with apiVersion, kind, metadata and spec was expected")
	}
	return body, nil
}

// open returns the items of a List, or the document itself.
func open(d document) ([]document, error) {
	kind, _ := d.body["kind"].(string)
	if !strings.HasSuffix(kind, "List") {
		return []document{d}, nil
	}
	items, ok := d.body["items"].([]any)
	if !ok && d.body["items"] != nil {
		return nil, fmt.Errorf("kind %s: items must be a list, got %s", kind, describe(d.body["items"]))
	}
	var documents []document
	for i, item := range items {
		body, ok := item.(map[string]any)
		if !ok {
			return documents, fmt.Errorf("kind %s: items[%d] must be an object, got %s", kind, i, describe(item))
		}
		documents = append(documents, document{file: d.file, body: body, quiet: d.quiet})
	}
	return documents, nil
}

// name identifies an object within its kind.
type name struct{ namespace, name string }

func (n name) String() string {
	if n.namespace == "" {
		return n.name
	}
	return n.namespace + "/" + n.name
}

// parse is two passes: what ScaledObjects refer to first, then they themselves.
func parse(documents []document, credentials bool) (Manifests, error) {
	var all Manifests
	var problems Problems
	known := authentications{}
	for _, d := range documents {
		switch kind := kind(d); kind {
		case namespacedKind, clusterKind:
			a, id, check := parseAuthentication(d)
			if known.add(a, id) {
				check.problem("", "is there twice; remove one")
			}
			problems, all.Notes = append(problems, check.problems...), append(all.Notes, check.notes...)
		case "ScaledObject":
		default:
			problems = append(problems, Problem{d.file, "", "kind", fmt.Sprintf("must be ScaledObject, TriggerAuthentication or ClusterTriggerAuthentication of %s, got %s", apiVersion, kind)})
		}
	}
	if !credentials {
		known = nil
	}
	workloads := map[string]name{}
	names := map[name]bool{}
	for _, d := range documents {
		if kind(d) != "ScaledObject" {
			continue
		}
		if d.text != nil {
			if err := d.decode(); err != nil {
				problems = append(problems, Problem{Message: err.Error()})
				continue
			}
		}
		o, check := parseScaledObject(d, known)
		id := name{o.Namespace, o.Name}
		if names[id] {
			check.problem("", "is there twice; remove one")
		}
		names[id] = true
		workload := strings.Join([]string{o.Cluster, o.Namespace, o.Target.APIVersion, o.Target.Kind, o.Target.Name}, "/")
		if other, taken := workloads[workload]; taken && other != id {
			check.problem("spec.scaleTargetRef", "%s %s is scaled by ScaledObject %s already; two would fight over its size: remove one, or put both triggers into one", o.Target.Kind, o.Target.Name, other)
		}
		workloads[workload] = id
		all.ScaledObjects = append(all.ScaledObjects, o)
		problems, all.Notes = append(problems, check.problems...), append(all.Notes, check.notes...)
	}
	if len(problems) > 0 {
		return Manifests{}, problems
	}
	slices.SortFunc(all.ScaledObjects, func(a, b ScaledObject) int {
		return strings.Compare(a.Cluster+"/"+a.Namespace+"/"+a.Name, b.Cluster+"/"+b.Namespace+"/"+b.Name)
	})
	assignBuckets(all.ScaledObjects)
	return all, nil
}

func kind(d document) string {
	if d.text != nil {
		return "ScaledObject"
	}
	version, _ := d.body["apiVersion"].(string)
	kind, _ := d.body["kind"].(string)
	switch {
	case kind == "":
		return "an object without kind"
	case version != apiVersion:
		return fmt.Sprintf("kind %s of apiVersion %q", kind, version)
	}
	return kind
}

// parseMetadata reads what every object has and names it in the checker.
func parseMetadata(d document) (root fields, id name, annotations map[string]string, check *checker) {
	check = &checker{file: d.file, object: kind(d), quiet: d.quiet}
	root = newFields(check, "", d.body)
	root.pass("apiVersion", "kind", "status")
	metadata, ok := root.object("metadata")
	if !ok && !root.has("metadata") {
		check.problem("metadata.name", "is required")
		return root, id, nil, check
	}
	id.namespace, id.name = metadata.text("namespace"), metadata.requiredText("name")
	switch {
	case kind(d) == clusterKind:
		id.namespace = ""
	case id.namespace == "":
		id.namespace = "default"
	}
	check.object += " " + id.String()
	if id.namespace != "" && !isLabel(id.namespace) {
		check.problem("metadata.namespace", "must be a namespace's name (a-z, 0-9 and -, at most 63), got %q", id.namespace)
	}
	if id.name != "" && !isObjectName(id.name) {
		check.problem("metadata.name", "must be a name as Kubernetes allows them (a-z, 0-9, - and .), got %q", id.name)
	}
	for i := range check.problems {
		check.problems[i].Object = check.object
	}
	return root, id, metadata.texts("annotations"), check
}
