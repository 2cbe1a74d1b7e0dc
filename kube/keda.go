package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// abandoned is how long ago a lease must have been renewed at last for its holder to be gone. KEDA renews it each few
// seconds; clocks differ by less.
const abandoned = time.Minute

// KEDARuns says whether KEDA's operator holds its lease in a namespace. The error wraps [ErrForbidden] where the lease may
// not be read.
func (c *Cluster) KEDARuns(ctx context.Context, namespace string) (bool, error) {
	answer, err := c.request(ctx, http.MethodGet, "/apis/coordination.k8s.io/v1/namespaces/"+url.PathEscape(namespace)+"/leases/"+kedaLease, nil)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case errors.Is(err, ErrForbidden):
		err = fmt.Errorf("the ClusterRole leda does not allow get on leases of %s: apply `leda rbac -source cluster` (%w)", kedaLease, err)
	}
	wrap := func(err error) error {
		return fmt.Errorf("read lease %s/%s, to see whether KEDA runs: %w", namespace, kedaLease, err)
	}
	if err != nil {
		return false, wrap(err)
	}
	var lease struct {
		Kind string `json:"kind"`
		Spec struct {
			HolderIdentity       string    `json:"holderIdentity"`
			LeaseDurationSeconds int       `json:"leaseDurationSeconds"`
			RenewTime            time.Time `json:"renewTime"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(answer, &lease); err != nil {
		return false, wrap(fmt.Errorf("the answer is no Lease: %w", err))
	}
	if lease.Kind != "Lease" {
		return false, wrap(fmt.Errorf("the answer is no Lease but kind %q", lease.Kind))
	}
	lasts := max(abandoned, time.Duration(lease.Spec.LeaseDurationSeconds)*time.Second)
	return lease.Spec.HolderIdentity != "" && c.Now().Sub(lease.Spec.RenewTime) < lasts, nil
}

// An HPA is a HorizontalPodAutoscaler: its name and what it scales.
type HPA struct {
	Name   string
	Target scaling.TargetRef
}

// HPAs are those of a namespace. The error wraps [ErrForbidden] where they may not be listed.
func (c *Cluster) HPAs(ctx context.Context, namespace string) ([]HPA, error) {
	var all []HPA
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for range maxPages {
		path := "/apis/autoscaling/v2/namespaces/" + url.PathEscape(namespace) + "/horizontalpodautoscalers?" + query.Encode()
		answer, err := c.exchange(ctx, message{verb: http.MethodGet, path: path, most: maxPage})
		if errors.Is(err, ErrForbidden) {
			err = fmt.Errorf("the Role in namespace %s does not allow list on horizontalpodautoscalers: apply `leda rbac -source cluster` (%w)", namespace, err)
		}
		if err != nil {
			return nil, fmt.Errorf("list the HPAs of namespace %s, to see what KEDA scales: %w", namespace, err)
		}
		var page struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
				Spec struct {
					ScaleTargetRef struct {
						APIVersion string `json:"apiVersion"`
						Kind       string `json:"kind"`
						Name       string `json:"name"`
					} `json:"scaleTargetRef"`
				} `json:"spec"`
			} `json:"items"`
		}
		if err := json.Unmarshal(answer, &page); err != nil || page.Kind != "HorizontalPodAutoscalerList" {
			return nil, fmt.Errorf("list the HPAs of namespace %s: the answer is no list of them but kind %q", namespace, page.Kind)
		}
		for _, item := range page.Items {
			ref := item.Spec.ScaleTargetRef
			all = append(all, HPA{item.Metadata.Name, scaling.TargetRef{APIVersion: ref.APIVersion, Kind: ref.Kind, Name: ref.Name}})
		}
		if page.Metadata.Continue == "" {
			return all, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
	return nil, fmt.Errorf("list the HPAs of namespace %s: there are more than %d", namespace, pageSize*maxPages)
}
