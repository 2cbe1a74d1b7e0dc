package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// first measures the first pass of a fresh process against the calls in it that depend on each other, alone: EKS is
// asked where the cluster is, and that for the scale. All servers are a round trip of 20 ms away.
func (b *bench) first(ctx context.Context) error {
	const pairs = 9
	targets := many(1, "first", target{replicas: 1, max: 1, polling: 30})
	if err := b.kube.create(ctx, targets); err != nil {
		return err
	}
	b.aws.fill(targets[0].name, queueLength) // with work, at its maximum: one look answers the event
	farKubernetes, err := farAway(ctx, b.plane.endpoint[len("https://"):])
	if err != nil {
		return err
	}
	defer farKubernetes.Close()
	farAWS, err := farAway(ctx, b.aws.Listener.Addr().String())
	if err != nil {
		return err
	}
	defer farAWS.Close()
	described, err := json.Marshal(map[string]any{"cluster": map[string]any{
		"endpoint":             "https://" + farKubernetes.Addr().String(),
		"certificateAuthority": map[string]string{"data": base64.StdEncoding.EncodeToString(b.plane.authority)},
	}})
	if err != nil {
		return err
	}
	b.aws.described = string(described)
	code, err := b.code("first", targets, scaling.Looks{}, true)
	if err != nil {
		return err
	}
	var ours, theirs []time.Duration
	for range pairs + 1 {
		for _, side := range []struct {
			program, event string
			took           *[]time.Duration
		}{
			{b.programs.function, fmt.Sprintf(`{"targets":["%s/%s"]}`, targets[0].namespace, targets[0].name), &ours},
			{b.programs.bare, `{"chain":true}`, &theirs},
		} {
			took, err := b.fresh(ctx, side.program, code, side.event, "https://"+farAWS.Addr().String())
			if err != nil {
				return err
			}
			*side.took = append(*side.took, took)
		}
	}
	ours, theirs = ours[1:], theirs[1:] // the first one has stored memory
	b.print(ratio("first pass, one target, servers 20 ms away", median(ours, milliseconds), median(theirs, milliseconds), 1.5, "ms", "EKS and then the scale alone"))
	return nil
}

// fresh is how long a new process takes for its first event.
func (b *bench) fresh(ctx context.Context, program, code, event, endpoint string) (time.Duration, error) {
	f, err := launch(ctx, program, code, b.aws.environ(endpoint))
	if err != nil {
		return 0, err
	}
	defer f.stop()
	_, took, err := f.invoke(ctx, event)
	return took, err
}
