package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// StoreInterval is how often unchanged activity is stored. What is stored counts as made this much later
// than it was, so that nobody who reads it in between shrinks early.
const StoreInterval = time.Minute

// MemoryName is the name of the ConfigMap that keeps the memory of bucket n's targets.
func MemoryName(n int) string { return "leda-memory-" + strconv.Itoa(n) }

// A Bucket is a ConfigMap that keeps the memory of up to 50 targets of a namespace, one entry a target.
//
// Every write carries the version that was read, so that two functions at work at once cannot undo each
// other's memory: a write of an entry that someone else changed fails with [ErrConflict]. Writes that
// come while another is under way go together into the next one.
type Bucket struct {
	Cluster   *Cluster
	Namespace string
	Name      string

	turn chan struct{} // holds one token; who has it talks to the API server

	mu      sync.Mutex
	read    bool
	object  configMapObject // as it was read: its metadata, the version in it, goes back as it came
	entries map[string]entry
	waiting []*write
}

// NewBucket is a bucket nothing has been read of yet.
func NewBucket(c *Cluster, namespace string, n int) *Bucket {
	return &Bucket{Cluster: c, Namespace: namespace, Name: MemoryName(n), turn: make(chan struct{}, 1)}
}

// entry is one target's memory.
type entry struct {
	text   string         // as it is stored
	stored scaling.Memory // the same, parsed
	exact  scaling.Memory // the same to the instant, and more; unknown when someone else wrote the entry
	ahead  int            // how often exact was renewed since the text was written
	broken error          // the stored text could not be parsed
}

// A Recollection is what a bucket knows of a target at one moment.
type Recollection struct {
	Memory scaling.Memory // what to decide by
	Stored scaling.Memory // what others can read
	Broken error          // what is stored could not be understood, and counts as lost
	// Foreign says that another process wrote it, and this one has decided nothing upon it yet.
	Foreign bool
	text    string
}

// Recall returns a target's memory, reading the ConfigMap the first time.
func (b *Bucket) Recall(ctx context.Context, target string) (Recollection, error) {
	if err := b.take(ctx); err != nil {
		return Recollection{}, err
	}
	defer b.giveBack()
	if !b.read {
		if err := b.load(ctx); err != nil {
			return Recollection{}, err
		}
	}
	return b.recollect(target), nil
}

// Refresh is Recall with the ConfigMap read anew.
func (b *Bucket) Refresh(ctx context.Context, target string) (Recollection, error) {
	if err := b.take(ctx); err != nil {
		return Recollection{}, err
	}
	defer b.giveBack()
	if err := b.load(ctx); err != nil {
		return Recollection{}, err
	}
	return b.recollect(target), nil
}

func (b *Bucket) recollect(target string) Recollection {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[target]
	r := Recollection{Memory: e.exact, Stored: e.stored, Broken: e.broken, Foreign: e.text != "" && !e.exact.Known(), text: e.text}
	if !r.Memory.Known() {
		r.Memory = e.stored
	}
	return r
}

// Keep notes in this process what need not be stored yet. It goes along with the bucket's next write.
func (b *Bucket) Keep(target string, was Recollection, m scaling.Memory) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.entries[target]; ok && e.text == was.text {
		e.exact = m
		e.ahead++
		b.entries[target] = e
	}
}

// write is one target's memory on its way.
type write struct {
	target string
	was    string // the stored text that the decision rests on
	memory scaling.Memory
	done   bool
	err    error
}

// Remember stores a target's memory, if what is stored still is what was recalled: else the error wraps
// [ErrConflict], and the caller observes and decides again.
func (b *Bucket) Remember(ctx context.Context, target string, was Recollection, m scaling.Memory) error {
	w := &write{target: target, was: was.text, memory: m}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()

	err := b.take(ctx)
	if err == nil {
		defer b.giveBack()
	}
	b.mu.Lock()
	if w.done { // someone whose turn came first has taken it along
		b.mu.Unlock()
		return w.err
	}
	if err != nil {
		b.withdraw(w)
		b.mu.Unlock()
		return err
	}
	batch := b.waiting
	b.waiting = nil
	b.mu.Unlock()

	b.store(ctx, batch)
	return w.err
}

func (b *Bucket) take(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for memory %s/%s: %w", b.Namespace, b.Name, ctx.Err())
	}
}

func (b *Bucket) giveBack() { <-b.turn }

func (b *Bucket) withdraw(w *write) {
	for i, other := range b.waiting {
		if other == w {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return
		}
	}
}

// store writes a batch, and once more after someone else's write for those whose entries that left alone.
func (b *Bucket) store(ctx context.Context, batch []*write) {
	const attempts = 3
	fail := func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range batch {
			w.done, w.err = true, err
		}
	}
	if !b.read { // it could not be read when it was to be recalled
		if err := b.load(ctx); err != nil {
			fail(err)
			return
		}
	}
	for attempt := 1; ; attempt++ {
		var current []*write
		b.mu.Lock()
		for _, w := range batch {
			if b.entries[w.target].text == w.was {
				current = append(current, w)
				continue
			}
			w.done, w.err = true, fmt.Errorf("store memory of %s/%s: %w", b.Namespace, w.target, ErrConflict)
		}
		b.mu.Unlock()
		if batch = current; len(batch) == 0 {
			return
		}
		err := b.put(ctx, batch)
		if err == nil {
			return
		}
		if errors.Is(err, ErrConflict) && attempt < attempts {
			if loadErr := b.load(ctx); loadErr == nil {
				continue
			}
		}
		fail(err)
		return
	}
}

// configMapObject is the part of a ConfigMap that is read and written.
type configMapObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]any    `json:"metadata"`
	Data       map[string]string `json:"data,omitempty"`
}

func (b *Bucket) path() string {
	return "/api/v1/namespaces/" + b.Namespace + "/configmaps/" + b.Name
}

// load reads the ConfigMap. What this process knows beyond an entry stays known where the entry still is
// what this process wrote.
func (b *Bucket) load(ctx context.Context) error {
	answer, err := b.Cluster.request(ctx, "GET", b.path(), nil)
	if err != nil {
		return fmt.Errorf("read memory %s/%s: %w", b.Namespace, b.Name, b.advise(err, "get"))
	}
	return b.accept(answer)
}

func (b *Bucket) accept(answer []byte) error {
	var object configMapObject
	if err := json.Unmarshal(answer, &object); err != nil {
		return fmt.Errorf("read memory %s/%s: the answer is no ConfigMap: %w", b.Namespace, b.Name, err)
	}
	version, _ := object.Metadata["resourceVersion"].(string)
	if object.Kind != "ConfigMap" || version == "" {
		return fmt.Errorf("read memory %s/%s: the answer is no ConfigMap but kind %q", b.Namespace, b.Name, object.Kind)
	}
	entries := make(map[string]entry, len(object.Data))
	b.mu.Lock()
	defer b.mu.Unlock()
	for target, text := range object.Data {
		if known, ok := b.entries[target]; ok && known.text == text {
			entries[target] = known
			continue
		}
		e := entry{text: text}
		if err := json.Unmarshal([]byte(text), &e.stored); err != nil {
			e.stored, e.broken = scaling.Memory{}, fmt.Errorf("memory %s/%s, entry %s: %w", b.Namespace, b.Name, target, err)
		}
		entries[target] = e
	}
	delete(object.Metadata, "managedFields") // long, and the server's own
	b.read, b.object, b.entries = true, object, entries
	return nil
}

// put writes a batch, and with it whatever else this process knows beyond what is stored.
func (b *Bucket) put(ctx context.Context, batch []*write) error {
	b.mu.Lock()
	object := b.object
	object.Data = make(map[string]string, len(b.entries))
	written, ahead := map[string]entry{}, map[string]int{}
	for target, e := range b.entries {
		object.Data[target] = e.text
		if ahead[target] = e.ahead; e.ahead > 0 {
			written[target] = entryOf(e.exact)
		}
	}
	for _, w := range batch {
		written[w.target] = entryOf(w.memory)
	}
	b.mu.Unlock()
	for target, e := range written {
		object.Data[target] = e.text
	}

	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("store memory %s/%s: %w", b.Namespace, b.Name, err)
	}
	answer, err := b.Cluster.request(ctx, "PUT", b.path(), body)
	if err != nil {
		return fmt.Errorf("store memory %s/%s: %w", b.Namespace, b.Name, b.advise(err, "update"))
	}

	b.mu.Lock()
	for target, e := range written {
		if now := b.entries[target]; now.ahead > ahead[target] { // kept while the request was under way
			e.exact, e.ahead = now.exact, now.ahead-ahead[target]
		}
		b.entries[target] = e
	}
	for _, w := range batch {
		w.done = true
	}
	b.mu.Unlock()
	return b.accept(answer)
}

// entryOf is m as it is stored: late, so that it holds until it is stored again.
func entryOf(m scaling.Memory) entry {
	stored := m.Later(StoreInterval)
	text, err := json.Marshal(stored)
	if err != nil {
		// Memory is numbers and times; only a year beyond 9999 cannot be written.
		return entry{stored: scaling.Memory{}, broken: err}
	}
	return entry{text: string(text), stored: stored, exact: m}
}

func (b *Bucket) advise(err error, verb string) error {
	switch {
	case errors.Is(err, ErrForbidden):
		return fmt.Errorf("the Role in namespace %s does not allow %s on it: apply `leda rbac` (%w)", b.Namespace, verb, err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("apply `leda rbac`, which creates it (%w)", err)
	}
	return err
}
