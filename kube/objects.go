package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// The kinds of keda.sh/v1alpha1 that a cluster is asked for.
const (
	ScaledObjects                 = "ScaledObject"
	TriggerAuthentications        = "TriggerAuthentication"
	ClusterTriggerAuthentications = "ClusterTriggerAuthentication"
)

const (
	kedaVersion = "keda.sh/v1alpha1"
	kedaRoot    = "/apis/" + kedaVersion

	// pageSize is how many objects a list has a page, and maxPages how many pages at most.
	pageSize = 500
	maxPages = 400

	// watchSeconds is how long a watch lasts. What has happened until it begins is sent at once; it could be
	// shorter if the server knew fractions.
	watchSeconds = 1
)

// An Object is one that the cluster has.
type Object struct {
	Namespace, Name string
	UID             string // tells it from another one of the same name
	Version         string // its resourceVersion
	Deleting        bool   // its deletionTimestamp is set

	// Text is the object as JSON with what people write: without status, managedFields and whatever else the server
	// or kubectl keeps in it. It is the same as long as nobody has written anything else.
	Text json.RawMessage
	// Status is the status as JSON; nil when there is none.
	Status json.RawMessage
}

// Objects are all objects of one kind in one namespace, as the cluster has them. Update brings them up to date: it
// lists them the first time, and afterwards asks for what has changed, which costs next to nothing when nothing has. It is not
// safe for concurrent use.
type Objects struct {
	cluster   *Cluster
	kind      string
	namespace string // empty for a kind that has none

	version string // where the next watch begins; empty when they are to be listed
	held    map[string]Object
}

// Objects are the cluster's objects of a kind in a namespace, which is empty for a kind that has none. Nothing is
// read yet.
func (c *Cluster) Objects(kind, namespace string) *Objects {
	return &Objects{cluster: c, kind: kind, namespace: namespace}
}

// Read says whether they have ever been read.
func (o *Objects) Read() bool { return o.held != nil }

// Get returns the object of that name.
func (o *Objects) Get(name string) (Object, bool) {
	object, ok := o.held[name]
	return object, ok
}

// All are the objects by name, in any order.
func (o *Objects) All() iter.Seq2[string, Object] { return maps.All(o.held) }

// Len is how many there are.
func (o *Objects) Len() int { return len(o.held) }

// Relist makes the next Update list the objects anew.
func (o *Objects) Relist() { o.version = "" }

// Update brings the objects up to date and says whether any has changed, a status too. After an error they are as they
// were: of a list that is incomplete, or of a watch that broke off, nothing is taken.
func (o *Objects) Update(ctx context.Context) (changed bool, err error) {
	if o.version != "" {
		switch changed, err = o.watch(ctx); {
		case err == nil:
			return changed, nil
		case !errors.Is(err, ErrGone):
			return false, fmt.Errorf("watch %s: %w", o.what(), o.advise(err, "watch"))
		}
	}
	found, version, err := o.list(ctx)
	if errors.Is(err, ErrGone) { // the list lasted longer than the server remembers
		found, version, err = o.list(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("list %s: %w", o.what(), o.advise(err, "list"))
	}
	o.held, o.version = found, version
	return true, nil
}

func (o *Objects) what() string {
	if o.namespace == "" {
		return o.resource()
	}
	return o.resource() + " of namespace " + o.namespace
}

func (o *Objects) resource() string { return strings.ToLower(o.kind) + "s" }

func (o *Objects) path() string {
	if o.namespace == "" {
		return kedaRoot + "/" + o.resource()
	}
	return kedaRoot + "/namespaces/" + url.PathEscape(o.namespace) + "/" + o.resource()
}

// list reads all objects, in pages of one moment.
func (o *Objects) list(ctx context.Context) (map[string]Object, string, error) {
	found := map[string]Object{}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for range maxPages {
		answer, err := o.cluster.exchange(ctx, message{verb: http.MethodGet, path: o.path() + "?" + query.Encode(), most: maxPage})
		if err != nil {
			return nil, "", err
		}
		var page struct {
			Kind     string `json:"kind"`
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
				Continue        string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, "", fmt.Errorf("the answer is no list: %w", err)
		}
		if page.Kind != o.kind+"List" || page.Metadata.ResourceVersion == "" {
			return nil, "", fmt.Errorf("the answer is no list of them but kind %q", page.Kind)
		}
		for _, item := range page.Items {
			object, err := o.open(item)
			if err != nil {
				return nil, "", err
			}
			found[object.Name] = object
		}
		if page.Metadata.Continue == "" {
			return found, page.Metadata.ResourceVersion, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
	return nil, "", fmt.Errorf("there are more than %d", pageSize*maxPages)
}

// watch reads what has happened since the last time. What came is taken as a whole or, when a part of it cannot be
// understood, not at all. The error wraps [ErrGone] when the server does not remember that far back.
func (o *Objects) watch(ctx context.Context) (changed bool, err error) {
	query := url.Values{
		"watch": {"1"}, "resourceVersion": {o.version}, "allowWatchBookmarks": {"true"}, "timeoutSeconds": {strconv.Itoa(watchSeconds)},
	}
	answer, err := o.cluster.exchange(ctx, message{verb: http.MethodGet, path: o.path() + "?" + query.Encode(), most: maxPage})
	if err != nil {
		return false, err
	}
	version, now := o.version, map[string]*Object{} // nil: it is there no more
	for events := json.NewDecoder(bytes.NewReader(answer)); ; {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := events.Decode(&event); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return false, fmt.Errorf("the stream of changes broke off: %w", err)
		}
		if event.Type == "ERROR" {
			return false, refusalIn(event.Object)
		}
		object, err := o.open(event.Object)
		if err != nil {
			return false, err
		}
		switch event.Type {
		case "ADDED", "MODIFIED":
			now[object.Name] = &object
		case "DELETED":
			now[object.Name] = nil
		case "BOOKMARK":
		default:
			return false, fmt.Errorf("a change of type %q is not understood", event.Type)
		}
		version = object.Version
	}
	for name, object := range now {
		if object == nil {
			delete(o.held, name)
		} else {
			o.held[name] = *object
		}
	}
	o.version = version
	return len(now) > 0, nil
}

// refusalIn is the error that a watch ends with.
func refusalIn(object json.RawMessage) error {
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(object, &status); err != nil {
		return fmt.Errorf("the watch ended with an error that is not understood: %w", err)
	}
	text := strings.TrimSpace(strconv.Itoa(status.Code) + " " + http.StatusText(status.Code))
	return &refusal{status: text, code: status.Code, message: Shorten(status.Message), structured: true}
}

// applied is what kubectl keeps of what it has applied: the object once more.
const applied = "kubectl.kubernetes.io/last-applied-configuration"

// open reads one object.
func (o *Objects) open(item json.RawMessage) (Object, error) {
	var whole struct {
		Metadata struct {
			Name              string            `json:"name"`
			Namespace         string            `json:"namespace"`
			UID               string            `json:"uid"`
			ResourceVersion   string            `json:"resourceVersion"`
			CreationTimestamp string            `json:"creationTimestamp"`
			DeletionTimestamp string            `json:"deletionTimestamp"`
			Annotations       map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec   json.RawMessage `json:"spec"`
		Status json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(item, &whole); err != nil {
		return Object{}, fmt.Errorf("one of them is no object: %w", err)
	}
	m := whole.Metadata
	if m.ResourceVersion == "" {
		return Object{}, fmt.Errorf("one of them is no object: it has no resourceVersion, its name is %q", m.Name)
	}
	delete(m.Annotations, applied)
	var written struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name              string            `json:"name"`
			Namespace         string            `json:"namespace,omitempty"`
			CreationTimestamp string            `json:"creationTimestamp,omitempty"`
			Annotations       map[string]string `json:"annotations,omitempty"`
		} `json:"metadata"`
		Spec json.RawMessage `json:"spec,omitempty"`
	}
	written.APIVersion, written.Kind = kedaVersion, o.kind // the items of a list need not say so
	written.Metadata.Name, written.Metadata.Namespace, written.Metadata.Annotations = m.Name, m.Namespace, m.Annotations
	written.Metadata.CreationTimestamp, written.Spec = m.CreationTimestamp, whole.Spec
	text, err := json.Marshal(written)
	if err != nil {
		return Object{}, fmt.Errorf("%s %s/%s: %w", o.kind, m.Namespace, m.Name, err)
	}
	return Object{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, Version: m.ResourceVersion, Deleting: m.DeletionTimestamp != "",
		Text: text, Status: bytes.Clone(whole.Status), // else it would keep the whole page
	}, nil
}

// Exists asks for an object by its name. That it is not there is certain only when the server says so of this
// very object: where the kind is not known, or something else answers, there is an error.
func (o *Objects) Exists(ctx context.Context, name string) (bool, error) {
	_, err := o.cluster.request(ctx, http.MethodGet, o.path()+"/"+url.PathEscape(name), nil)
	var said *refusal
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &said) && said.code == http.StatusNotFound && said.object == name:
		return false, nil
	}
	return false, fmt.Errorf("read %s %s/%s: %w", o.kind, o.namespace, name, o.advise(err, "get"))
}

// advise says what to do about an answer that people meet.
func (o *Objects) advise(err error, verb string) error {
	switch {
	case errors.Is(err, ErrForbidden) && o.namespace == "":
		return fmt.Errorf("the ClusterRole leda does not allow %s on %s: apply `leda rbac -source cluster` (%w)", verb, o.resource(), err)
	case errors.Is(err, ErrForbidden):
		return fmt.Errorf("the Role in namespace %s does not allow %s on %s: apply `leda rbac -source cluster` (%w)", o.namespace, verb, o.resource(), err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("the cluster has no %s of %s: apply `leda crds`, or install KEDA's (%w)", o.resource(), kedaVersion, err)
	case errors.Is(err, ErrUnauthorized):
		return fmt.Errorf("the cluster does not know the function's role: is its access entry there, and its authentication mode API or API_AND_CONFIG_MAP? (%w)", err)
	}
	return err
}
