package main

import (
	"fmt"
	"time"
)

// owner watches whether the size of a target is what Leda left it at, as far as this process knows.
type owner struct {
	known bool
	size  int32 // after the last look

	others []change // by someone else, within the last hour
	warned time.Time
}

// change is a size that someone else set.
type change struct {
	at time.Time
	to int32
}

const (
	// A second owner is warned of when it changed a size this often within an hour, and then once an hour.
	oftenChanged = 3
	changesCount = time.Hour
)

// leaves notes what a look found, and what it left. After a failure to set a size that is not certain.
func (w *owner) leaves(o outcome, now time.Time) {
	for len(w.others) > 0 && now.Sub(w.others[0].at) >= changesCount {
		w.others = w.others[1:]
	}
	if o.Outside != "" {
		w.others = append(w.others, change{now, o.decision.From})
	}
	w.size = o.decision.From
	if o.Changed {
		w.size = o.decision.To
	}
	w.known = o.Error == "" || !o.decision.Changed()
}

// warning names the likely cause when somebody keeps changing the size; it is empty when there is nothing
// to say, or when it was said within the last hour.
func (w *owner) warning(namespace string, now time.Time) string {
	if len(w.others) < oftenChanged || now.Sub(w.warned) < changesCount {
		return ""
	}
	w.warned = now
	likely := "likely an HPA or a KEDA ScaledObject for the same workload, or a person: two owners fight, so remove the other (kubectl get hpa,scaledobjects -n " + namespace + ")"
	if to := w.others[0].to; w.always(to) {
		likely = fmt.Sprintf("likely a manifest with replicas: %d that is applied again and again (kubectl apply, Helm, GitOps): leave replicas out of it; else an HPA or a KEDA ScaledObject (kubectl get hpa,scaledobjects -n %s)", to, namespace)
	}
	return fmt.Sprintf("someone else changed its size %d times within an hour; %s", len(w.others), likely)
}

func (w *owner) always(to int32) bool {
	for _, c := range w.others {
		if c.to != to {
			return false
		}
	}
	return true
}
