package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// StoreInterval is how often unchanged activity is stored. What is stored counts as made this much later
// than it was, so that nobody who reads it in between shrinks early.
const StoreInterval = time.Minute

// MemoryName is the name of the ConfigMap that keeps the memory of bucket n's targets.
func MemoryName(n int) string { return "leda-memory-" + strconv.Itoa(n) }

const (
	// bucketSize bounds a ConfigMap's data, and entrySize what one target may take of it, its name included:
	// 50 of them fit.
	bucketSize = 64 << 10
	entrySize  = 1300

	// forgetAfter is how old the memory of a target that nobody has any more must be to be dropped. No
	// window lasts as long, and what is lost can only delay a scale-in.
	forgetAfter = 7 * 24 * time.Hour

	// maxAhead is how far in the future an entry's times may be, for clocks that differ.
	maxAhead = time.Hour
)

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

	mu        sync.Mutex
	read      bool
	object    map[string]json.RawMessage // as it was read: what is not Leda's in it, and the version, go back as they came
	immutable bool
	entries   map[string]entry
	waiting   []*write
	own       map[string]bool
}

// NewBucket is a bucket nothing has been read of yet.
func NewBucket(c *Cluster, namespace string, n int) *Bucket {
	return &Bucket{Cluster: c, Namespace: namespace, Name: MemoryName(n), turn: make(chan struct{}, 1)}
}

// Own says which targets the bucket is for. Memory of others is left alone, since another installation may
// keep it here, until it is old, or there is no room for it.
func (b *Bucket) Own(targets ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.own == nil {
		b.own = map[string]bool{}
	}
	for _, target := range targets {
		b.own[target] = true
	}
}

// Disown says that a target is no more the bucket's: its memory may be dropped once it is old.
func (b *Bucket) Disown(target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.own, target)
}

// entry is one target's memory.
type entry struct {
	text   string         // as it is stored
	stored scaling.Memory // the same, parsed
	exact  scaling.Memory // the same to the instant, and more; unknown when someone else wrote the entry
	ahead  int            // how often exact was renewed since the text was written
	before string         // the text that this one renewed, when this process wrote it along with another target's
	broken error          // the stored text could not be parsed
}

// continues says whether e is the memory that was recalled as text, or only written anew by this process since.
func (e entry) continues(text string) bool {
	return e.text == text || e.before != "" && e.before == text
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
	if e, ok := b.entries[target]; ok && e.continues(was.text) {
		e.exact = m
		e.ahead++
		b.entries[target] = e
	}
}

// write is one target's memory on its way.
type write struct {
	target string
	was    string // the stored text that the decision rests on
	entry  entry
	done   bool
	err    error
}

// Remember stores a target's memory, if what is stored still is what was recalled: else the error wraps
// [ErrConflict], and the caller observes and decides again.
func (b *Bucket) Remember(ctx context.Context, target string, was Recollection, m scaling.Memory) error {
	b.mu.Lock()
	room := b.room(target)
	b.mu.Unlock()
	e, err := entryOf(m, room)
	if err != nil {
		return fmt.Errorf("store memory of %s/%s: %w", b.Namespace, target, err)
	}
	return b.hand(ctx, &write{target: target, was: was.text, entry: e})
}

// hand has w written, by the caller or by someone whose turn comes first.
func (b *Bucket) hand(ctx context.Context, w *write) error {
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

// unfit is the error of a ConfigMap that, as it was read, cannot be written.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

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
			if b.entries[w.target].continues(w.was) {
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
		var cannot unfit
		if errors.Is(err, ErrConflict) && attempt < attempts || errors.As(err, &cannot) && attempt == 1 { // somebody may have mended it
			if loadErr := b.load(ctx); loadErr == nil {
				continue
			}
		}
		fail(err)
		return
	}
}

func (b *Bucket) path() string {
	return "/api/v1/namespaces/" + b.Namespace + "/configmaps/" + b.Name
}

// load reads the ConfigMap. What this process knows beyond an entry stays known where the entry still is
// what this process wrote.
func (b *Bucket) load(ctx context.Context) error {
	answer, err := b.Cluster.request(ctx, http.MethodGet, b.path(), nil)
	if err != nil {
		return fmt.Errorf("read memory %s/%s: %w", b.Namespace, b.Name, b.advise(err, "get"))
	}
	return b.accept(answer)
}

func (b *Bucket) accept(answer []byte) error {
	wrong := func(what string, err error) error {
		return fmt.Errorf("read memory %s/%s: the answer is no ConfigMap: %s: %w", b.Namespace, b.Name, what, err)
	}
	var object, metadata map[string]json.RawMessage
	var known struct {
		Kind     string `json:"kind"`
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Data      map[string]string `json:"data"`
		Immutable bool              `json:"immutable"`
	}
	if err := json.Unmarshal(answer, &known); err != nil {
		return wrong("its fields", err)
	}
	if known.Kind != "ConfigMap" || known.Metadata.ResourceVersion == "" {
		return fmt.Errorf("read memory %s/%s: the answer is no ConfigMap but kind %q", b.Namespace, b.Name, known.Kind)
	}
	if err := json.Unmarshal(answer, &object); err != nil {
		return wrong("its fields", err)
	}
	if err := json.Unmarshal(object["metadata"], &metadata); err != nil {
		return wrong("its metadata", err)
	}
	delete(metadata, "managedFields") // long, and the server's own
	short, err := json.Marshal(metadata)
	if err != nil {
		return wrong("its metadata", err)
	}
	object["metadata"] = short

	b.mu.Lock()
	defer b.mu.Unlock()
	entries := make(map[string]entry, len(known.Data))
	for target, text := range known.Data {
		if e, ok := b.entries[target]; ok && e.text == text {
			entries[target] = e
			continue
		}
		entries[target] = b.understand(target, text)
	}
	b.read, b.object, b.immutable, b.entries = true, object, known.Immutable, entries
	return nil
}

// understand reads an entry that this process has not written.
func (b *Bucket) understand(target, text string) entry {
	if isOriginal(target) {
		return entry{text: text}
	}
	m, err := scaling.ParseMemory(text)
	if now := b.Cluster.Now(); err == nil && m.Newest().Sub(now) > maxAhead {
		err = fmt.Errorf("it is of %s, and now is %s", m.Newest().Format(time.RFC3339), now.Format(time.RFC3339))
	}
	if err != nil {
		err = fmt.Errorf("memory %s/%s, entry %s is not what this version of Leda writes, and counts as lost: %w", b.Namespace, b.Name, target, err)
		return entry{text: text, broken: err}
	}
	return entry{text: text, stored: m}
}

// put writes a batch, and with it whatever else this process knows beyond what is stored.
func (b *Bucket) put(ctx context.Context, batch []*write) error {
	written, ahead := map[string]entry{}, map[string]int{}
	b.mu.Lock()
	for target, e := range b.entries {
		if ahead[target] = e.ahead; e.ahead > 0 {
			if renewed, err := entryOf(e.exact, b.room(target)); err == nil { // else what is stored stays
				renewed.before = e.text
				written[target] = renewed
			}
		}
	}
	for _, w := range batch {
		written[w.target] = w.entry
	}
	body, err := b.compose(written)
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("store memory %s/%s: %w", b.Namespace, b.Name, unfit{err})
	}
	answer, err := b.Cluster.request(ctx, http.MethodPut, b.path(), body)
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

// compose makes the ConfigMap to write. What nobody has any more is left out, and so is what is not ours
// where there is no room, the oldest first.
func (b *Bucket) compose(written map[string]entry) ([]byte, error) {
	if b.immutable {
		return nil, errors.New("it is immutable: delete it and apply `leda rbac`")
	}
	data := make(map[string]string, len(b.entries)+len(written))
	for target, e := range b.entries {
		data[target] = e.text
	}
	for target, e := range written {
		if data[target] = e.text; e.text == "" {
			delete(data, target)
		}
	}
	size, foreign := 0, []string(nil)
	for target, text := range data {
		size += len(target) + len(text)
		if _, ours := written[target]; !ours && !isOriginal(target) && b.own != nil && !b.own[target] && b.entries[target].broken == nil {
			foreign = append(foreign, target)
		}
	}
	age := func(target string) time.Duration { return b.Cluster.Now().Sub(b.entries[target].stored.Newest()) }
	slices.SortFunc(foreign, func(a, b string) int { return cmp.Or(cmp.Compare(age(b), age(a)), strings.Compare(a, b)) })
	for _, target := range foreign {
		if size > bucketSize || age(target) > forgetAfter {
			size -= len(target) + len(data[target])
			delete(data, target)
		}
	}
	if size > bucketSize {
		return nil, fmt.Errorf("it would hold %d bytes, and %d are the most: remove with kubectl edit what is not Leda's in it", size, bucketSize)
	}
	object := maps.Clone(b.object)
	var err error
	if object["data"], err = json.Marshal(data); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

// entryOf is m as it is stored: late, so that it holds until it is stored again, and of at most room bytes.
func entryOf(m scaling.Memory, room int) (entry, error) {
	text, stored, err := m.Later(StoreInterval).Text(room)
	return entry{text: text, stored: stored, exact: m}, err
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
