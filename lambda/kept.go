package main

import (
	"context"
	"sync"
	"time"
)

// kept are values that are read when they are first needed and kept until it is time to read them again.
// Who needs one that is being read waits for that reading, and shares what becomes of it.
type kept[K comparable, V any] struct {
	now func() time.Time

	mu     sync.Mutex
	values map[K]*value[V]
}

// value is one reading. All but done belongs to its reader until done is closed.
type value[V any] struct {
	done chan struct{}
	is   V
	err  error
	span
}

// span says how long a value is of use; zero times are for ever.
type span struct {
	fresh time.Time // until when it need not be read again
	good  time.Time // until when it serves where reading it again fails
}

// patience is how long a value that is still good serves after reading it again has failed.
const patience = 30 * time.Second

// get returns the value of key, by read unless there is a fresh one.
func (k *kept[K, V]) get(ctx context.Context, key K, read func(context.Context) (V, span, error)) (*value[V], error) {
	k.mu.Lock()
	old := k.values[key]
	if old != nil && !old.stale(k.now()) {
		k.mu.Unlock()
		select {
		case <-old.done:
			return old, old.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	v := &value[V]{done: make(chan struct{})}
	if k.values == nil {
		k.values = map[K]*value[V]{}
	}
	k.values[key] = v
	k.mu.Unlock()

	v.is, v.span, v.err = read(ctx)
	if v.err != nil {
		if now := k.now(); old != nil && now.Before(old.good) {
			v.is, v.span, v.err = old.is, span{now.Add(patience), old.good}, nil
		} else {
			k.forget(key, v)
		}
	}
	close(v.done)
	return v, v.err
}

// stale says whether a value has been read and is to be read again.
func (v *value[V]) stale(now time.Time) bool {
	select {
	case <-v.done:
		return !v.fresh.IsZero() && !now.Before(v.fresh)
	default:
		return false
	}
}

// forget drops a value that was of no use, unless another one has taken its place.
func (k *kept[K, V]) forget(key K, useless *value[V]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values[key] == useless {
		delete(k.values, key)
	}
}

// sweep drops what is good no more. It is for keys that come and go.
func (k *kept[K, V]) sweep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	for key, v := range k.values {
		select {
		case <-v.done:
			if !v.good.IsZero() && !now.Before(v.good) {
				delete(k.values, key)
			}
		default:
		}
	}
}
