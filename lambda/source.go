package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const (
	// sourcePatience bounds how long bringing a cluster's targets up to date may take.
	sourcePatience = 15 * time.Second

	// currentFor is how long what was listed serves a doorbell. A tick always brings it up to date.
	currentFor = time.Minute

	// writersAtOnce bounds the statuses that are written side by side for targets that are not looked at.
	writersAtOnce = 16
)

// source is one cluster's own ScaledObjects, and the targets that they make.
type source struct {
	cluster        *kube.Cluster
	clusterObjects string // the namespace where KEDA's lease would be
	looks          scaling.Looks
	memories       *memories
	files          []*target // the cluster's targets that come from files: they go before its own
	spaces         []*space
	shared         *kube.Objects // ClusterTriggerAuthentications; read only where one is named
	kedaRuns       bool
	vanished       map[string]*vanished // by namespace/name
	gone           []*vanished          // those that no tick has seen to yet
	were           int                  // how many ScaledObjects there were before them
	at             time.Time            // when it was brought up to date; zero when it never was
	said           said
	log            *slog.Logger
	now            func() time.Time
}

// space is one namespace of a source.
type space struct {
	name                     string
	objects, authentications *kube.Objects
	hpas                     []kube.HPA
	hpasKnown                bool
	current                  bool               // members are made of what objects and authentications hold
	members                  map[string]*member // by name
	searched                 map[int]bool       // buckets that were searched for targets of which nothing else is left
}

// member is one ScaledObject of a cluster.
type member struct {
	source *source
	space  *space
	object kube.Object
	parsed scaling.Parsed
	target *target // nil while there are problems
	aside  string  // why Leda leaves it to KEDA; empty when it does not

	// What the status is, as far as this process knows, and when it was written, or could not be, at last.
	status  scaling.Status
	written time.Time
	noted   bool // that Leda stands aside was written
}

func newSource(c *kube.Cluster, fleet scaling.Fleet, files []*target, memories *memories, log *slog.Logger, now func() time.Time) *source {
	s := &source{
		cluster: c, clusterObjects: fleet.ClusterObjects(), looks: fleet.Looks, memories: memories,
		shared: c.Objects(kube.ClusterTriggerAuthentications, ""), vanished: map[string]*vanished{}, log: log, now: now,
	}
	for _, t := range files {
		if t.Cluster == c.Name {
			s.files = append(s.files, t)
		}
	}
	for _, namespace := range c.Namespaces {
		s.spaces = append(s.spaces, &space{
			name: namespace, objects: c.Objects(kube.ScaledObjects, namespace), authentications: c.Objects(kube.TriggerAuthentications, namespace),
			members: map[string]*member{}, searched: map[int]bool{},
		})
	}
	return s
}

// targets are those that are to be looked at. What KEDA scales is not among them.
func (s *source) targets() []*target {
	var all []*target
	for _, space := range s.spaces {
		for _, m := range space.members {
			if m.target != nil && m.aside == "" {
				all = append(all, m.target)
			}
		}
	}
	return all
}

// refresh brings the targets up to date with the cluster. Where it cannot be read, they stay what they were, and the log
// says why. In a tick, what has vanished is seen to, and what is not looked at gets its status.
func (s *source) refresh(ctx context.Context, w wake) {
	ctx, cancel := context.WithTimeout(ctx, sourcePatience)
	defer cancel()
	errs := s.update(ctx)
	s.lookForKEDA(ctx)
	sharedErr := s.updateShared(ctx)
	if len(s.gone) == 0 {
		s.were = s.count()
	}
	for i, p := range s.spaces {
		err := errs[i]
		if err == nil && p.namesShared() {
			err = sharedErr
		}
		if err == nil && !p.hpasKnown {
			err = errors.New("it is not known yet what KEDA scales there")
		}
		switch {
		case err != nil:
			if s.said.due(s.now(), time.Minute, "scaledobjects not read"+p.name) {
				s.log.LogAttrs(ctx, slog.LevelError, "scaledobjects not read",
					slog.String("cluster", s.cluster.Name), slog.String("namespace", p.name), slog.String("error", err.Error()), slog.Int("unchanged", len(p.members)))
			}
		case !p.current:
			s.gone = append(s.gone, s.adopt(ctx, p)...)
		}
	}
	s.standAside(ctx)
	s.at = s.now()
	if w.tick {
		s.seeTo(ctx, w)
		s.tellStatuses(ctx, w)
	}
}

// update asks each namespace for what has changed.
func (s *source) update(ctx context.Context) []error {
	errs := make([]error, len(s.spaces))
	var all together
	for i, p := range s.spaces {
		all.Go(func() {
			var objects, authentications bool
			var objectsErr, authenticationsErr error
			var both together
			both.Go(func() { objects, objectsErr = p.objects.Update(ctx) })
			both.Go(func() { authentications, authenticationsErr = p.authentications.Update(ctx) })
			both.Wait()
			if objects || authentications { // also where the other one failed: no later watch will say so again
				p.current = false
			}
			errs[i] = errors.Join(objectsErr, authenticationsErr)
		})
	}
	all.Wait()
	return errs
}

// updateShared asks for the ClusterTriggerAuthentications, if one is named.
func (s *source) updateShared(ctx context.Context) error {
	if !slices.ContainsFunc(s.spaces, (*space).namesShared) {
		return nil
	}
	changed, err := s.shared.Update(ctx)
	for _, p := range s.spaces {
		if changed && p.namesShared() {
			p.current = false
		}
	}
	return err
}

// namesShared says whether a ScaledObject may name a ClusterTriggerAuthentication.
func (p *space) namesShared() bool {
	for _, object := range p.objects.All() {
		if bytes.Contains(object.Text, []byte(kube.ClusterTriggerAuthentications)) {
			return true
		}
	}
	return false
}

// adopt makes the members those that the cluster has, and returns those that have vanished.
func (s *source) adopt(ctx context.Context, p *space) []*vanished {
	var gone []*vanished
	var texts []json.RawMessage
	var objects []kube.Object
	for _, object := range p.objects.All() {
		if !object.Deleting {
			objects = append(objects, object)
		}
	}
	slices.SortFunc(objects, func(a, b kube.Object) int { return strings.Compare(a.Name, b.Name) })
	for _, object := range objects {
		texts = append(texts, object.Text)
	}
	for _, authentications := range []*kube.Objects{p.authentications, s.shared} {
		for _, a := range authentications.All() {
			texts = append(texts, a.Text)
		}
	}
	parsed := scaling.ParseEach(texts...)
	s.considerFiles(p, parsed)

	var added, changed, removed, invalid []string
	there := map[string]bool{}
	for i, object := range objects {
		there[object.Name] = true
		m, known := p.members[object.Name]
		if !known {
			m = &member{source: s, space: p}
			p.members[object.Name] = m
			added = append(added, object.Name)
		}
		if known && !bytes.Equal(m.object.Text, object.Text) {
			changed = append(changed, object.Name)
		}
		if len(parsed[i].Problems) > 0 {
			invalid = append(invalid, object.Name)
		}
		m.becomes(object, parsed[i])
		delete(s.vanished, p.name+"/"+object.Name)
	}
	for name, m := range p.members {
		if there[name] {
			continue
		}
		object, listed := p.objects.Get(name)
		gone = append(gone, &vanished{space: p, name: name, bucket: m.parsed.Bucket, certain: listed && object.Deleting})
		if m.target != nil {
			m.target.memory.Disown(name)
		}
		delete(p.members, name)
		removed = append(removed, name)
	}
	p.current = true
	if len(added)+len(changed)+len(removed) > 0 {
		s.log.InfoContext(ctx, "scaledobjects", "cluster", s.cluster.Name, "namespace", p.name, "there", len(p.members),
			"added", few(added), "changed", few(changed), "removed", few(removed), "invalid", few(invalid))
	}
	return gone
}

// considerFiles places what was parsed, and has the files go before: a ScaledObject that they have too, or whose workload
// they scale, has a problem.
func (s *source) considerFiles(p *space, parsed []scaling.Parsed) {
	var all []scaling.Parsed
	files := map[string]bool{}
	for _, t := range s.files {
		if t.Namespace == p.name {
			files[t.Name] = true
			all = append(all, scaling.Parsed{ScaledObject: *t.ScaledObject}) // without a time of creation: older than any
		}
	}
	for i := range parsed {
		s.cluster.Place(&parsed[i])
		if o := &parsed[i]; files[o.Name] {
			o.Problems = append(o.Problems, scaling.Problem{
				Object:  "ScaledObject " + o.Namespace + "/" + o.Name,
				Message: "is among the files that the function was deployed with, and those go before: remove it here or there",
			})
		}
	}
	if len(all) == 0 {
		return
	}
	contested := scaling.Contested(append(all, parsed...))
	for i := range parsed {
		o := &parsed[i]
		if problem, ok := contested[o.Namespace+"/"+o.Name]; ok && len(o.Problems) == 0 {
			o.Problems = append(o.Problems, problem)
		}
	}
}

// becomes makes m what the cluster has now. A target keeps what is known of it; where what people wrote has changed it is
// looked at at once.
func (m *member) becomes(object kube.Object, parsed scaling.Parsed) {
	if !bytes.Equal(m.object.Status, object.Status) || m.object.Version == "" {
		m.status = scaling.Status{}
		if err := json.Unmarshal(object.Status, &m.status); err != nil {
			m.status = scaling.Status{} // none, or none that KEDA or Leda wrote: it is written anew
		}
	}
	rewritten := !bytes.Equal(m.object.Text, object.Text)
	m.object, m.parsed = object, parsed
	o := &m.parsed.ScaledObject
	switch t := m.target; {
	case len(parsed.Problems) > 0:
		m.target = nil
	case t == nil:
		memory := m.source.memories.of(m.source.cluster, o)
		m.target = &target{ScaledObject: o, looks: m.source.looks, cluster: m.source.cluster, memory: memory, member: m}
	default:
		if t.Target != o.Target {
			t.owner, t.original = owner{}, nil
		}
		if rewritten {
			t.due = time.Time{}
		}
		t.ScaledObject = o
	}
}

// few is as many names as a line has room for.
func few(names []string) []string {
	const enough = 20
	slices.Sort(names)
	if len(names) > enough {
		return append(names[:enough:enough], fmt.Sprintf("and %d more", len(names)-enough))
	}
	return names
}

// said keeps the log from saying the same again and again.
type said struct {
	mu    sync.Mutex
	times map[string]time.Time
}

// due says whether a line may be logged: the same one, by its key, was not within the interval.
func (s *said) due(now time.Time, interval time.Duration, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.times[key]; ok && now.Sub(at) < interval {
		return false
	}
	if s.times == nil {
		s.times = map[string]time.Time{}
	}
	for old, at := range s.times {
		if now.Sub(at) >= time.Hour {
			delete(s.times, old)
		}
	}
	s.times[key] = now
	return true
}
