package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// standsAside is Leda's own condition: it leaves the ScaledObject to KEDA.
const standsAside = "LedaStandsAside"

const besideKEDA = `to have Leda scale it all the same, annotate it leda.dev/beside-keda: "true"`

// lookForKEDA finds out whether KEDA runs in the cluster, and what the HPAs scale. Where it may not know it goes by the rest;
// where it cannot, by what it knew.
func (s *source) lookForKEDA(ctx context.Context) {
	var all together
	all.Go(func() {
		runs, err := s.cluster.KEDARuns(ctx, s.clusterObjects)
		switch {
		case errors.Is(err, kube.ErrForbidden):
			s.kedaRuns = false
			s.tellUnseen(ctx, err)
		case err != nil:
			s.tellUnseen(ctx, err)
		default:
			s.kedaRuns = runs
		}
	})
	for _, p := range s.spaces {
		all.Go(func() {
			hpas, err := s.cluster.HPAs(ctx, p.name)
			switch {
			case errors.Is(err, kube.ErrForbidden):
				p.hpas, p.hpasKnown = nil, true
				s.tellUnseen(ctx, err)
			case err != nil:
				s.tellUnseen(ctx, err)
			default:
				p.hpas, p.hpasKnown = hpas, true
			}
		})
	}
	all.Wait()
}

func (s *source) tellUnseen(ctx context.Context, err error) {
	if s.said.due(s.now(), time.Hour, "KEDA may be there unseen"+err.Error()) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "KEDA may be there unseen",
			slog.String("cluster", s.cluster.Name), slog.String("error", err.Error()))
	}
}

// standAside leaves to KEDA what it scales, and says so once and then once an hour.
func (s *source) standAside(ctx context.Context) {
	var left []string
	for _, p := range s.spaces {
		for name, m := range p.members {
			if m.aside = m.kedaScales(); m.aside == "" {
				m.noted = false
				continue
			}
			if m.target != nil {
				m.target.due, m.target.owner = time.Time{}, owner{}
			}
			left = append(left, p.name+"/"+name)
		}
	}
	if len(left) == 0 {
		return
	}
	if s.said.due(s.now(), time.Hour, "stands aside: KEDA scales these ScaledObjects") {
		s.log.LogAttrs(ctx, slog.LevelWarn, "stands aside: KEDA scales these ScaledObjects",
			slog.String("cluster", s.cluster.Name), slog.Bool("kedaRuns", s.kedaRuns), slog.Int("count", len(left)), slog.Any("scaledObjects", few(left)), slog.String("wayOut", "stop KEDA's operator (kubectl scale deployment keda-operator --replicas=0) and delete its HPAs; "+besideKEDA))
	}
}

// kedaScales says why Leda leaves the ScaledObject to KEDA; nothing when it does not.
func (m *member) kedaScales() string {
	o := &m.parsed.ScaledObject
	if o.BesideKEDA {
		return ""
	}
	if m.source.kedaRuns {
		return fmt.Sprintf("KEDA's operator runs in this cluster: it holds lease operator.keda.sh in namespace %s", m.source.clusterObjects)
	}
	if hpa, ok := m.hpa(); ok {
		return fmt.Sprintf("HPA %s, which is KEDA's, scales %s %s: delete it when KEDA is gone", hpa, o.Target.Kind, o.Target.Name)
	}
	return ""
}

// hpa is KEDA's for the ScaledObject, if it is there and scales the same workload.
func (m *member) hpa() (name string, ok bool) {
	o := &m.parsed.ScaledObject
	at := slices.IndexFunc(m.space.hpas, func(h kube.HPA) bool {
		return (h.Name == o.HPAName || h.Name == "keda-hpa-"+o.Name) && h.Target.Kind == o.Target.Kind && h.Target.Name == o.Target.Name
	})
	if at < 0 {
		return "", false
	}
	return m.space.hpas[at].Name, true
}

// contested says whether KEDA writes the status too. Then Leda does not: two would undo each other's conditions.
func (m *member) contested() bool {
	_, hpa := m.hpa()
	return m.source.kedaRuns || hpa
}

// noteAside adds Leda's condition to those that are there, once.
func (m *member) noteAside(ctx context.Context) {
	if m.noted || m.status.Condition(standsAside).Type != "" {
		return
	}
	m.noted = true
	status := m.status
	status.Conditions = append(slices.Clone(status.Conditions), scaling.Condition{
		Type: standsAside, Status: scaling.True, Reason: "KEDAScales", Message: m.aside + "; " + besideKEDA,
	})
	m.write(ctx, status)
}
