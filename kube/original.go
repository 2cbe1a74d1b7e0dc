package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

// An Original is what must be known of a ScaledObject after it is gone, to undo what it did: the workload and the size
// from before it was first set. It is kept beside the target's memory.
type Original struct {
	Replicas   int32  `json:"replicas"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`

	// Spared says that it vanished along with many others, and is not to be restored until it has been there again.
	Spared bool `json:"spared,omitempty"`
}

// OriginalOf is a target's workload at a size.
func OriginalOf(o *scaling.ScaledObject, replicas int32) Original {
	return Original{Replicas: replicas, APIVersion: o.Target.APIVersion, Kind: o.Target.Kind, Name: o.Target.Name}
}

// Target is the workload.
func (o Original) Target() scaling.TargetRef {
	return scaling.TargetRef{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Name}
}

// An original is kept under the target's name with a suffix that no name in Kubernetes may have.
const originalSuffix = "_original"

func isOriginal(key string) bool { return strings.HasSuffix(key, originalSuffix) }

// Originals are all that the bucket keeps, by target: as the ConfigMap has them now if fresh, else as this process
// knows them. An entry that cannot be understood is left alone.
func (b *Bucket) Originals(ctx context.Context, fresh bool) (map[string]Original, error) {
	if err := b.take(ctx); err != nil {
		return nil, err
	}
	defer b.giveBack()
	if fresh || !b.read {
		if err := b.load(ctx); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]Original{}
	for key, e := range b.entries {
		var o Original
		if isOriginal(key) && json.Unmarshal([]byte(e.text), &o) == nil && o.Name != "" {
			all[strings.TrimSuffix(key, originalSuffix)] = o
		}
	}
	return all, nil
}

// KeepOriginal stores the original of a target in place of what there was.
func (b *Bucket) KeepOriginal(ctx context.Context, target string, o Original) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("store the original size of %s/%s: %w", b.Namespace, target, err)
	}
	return b.writeOriginal(ctx, target, string(text))
}

// DropOriginal removes the original of a target.
func (b *Bucket) DropOriginal(ctx context.Context, target string) error {
	return b.writeOriginal(ctx, target, "")
}

func (b *Bucket) writeOriginal(ctx context.Context, target, text string) error {
	key := target + originalSuffix
	b.mu.Lock()
	was := b.entries[key].text
	b.mu.Unlock()
	return b.hand(ctx, &write{target: key, was: was, entry: entry{text: text}})
}

// room is how many bytes a target's memory may have beside its name and its original.
func (b *Bucket) room(target string) int {
	room := entrySize - len(target)
	if e, ok := b.entries[target+originalSuffix]; ok {
		room -= len(target) + len(originalSuffix) + len(e.text)
	}
	return room
}
