package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// sizes are those of a namespace's Deployments, as a watch tells them.
type sizes struct {
	mu      sync.Mutex
	awaited map[string]awaited
}

type awaited struct {
	size    int
	reached chan time.Time
}

// reach returns what gets the time at which the Deployment has that size or more.
func (s *sizes) reach(name string, size int) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	reached := make(chan time.Time, 1)
	s.awaited[name] = awaited{size, reached}
	return reached
}

func (s *sizes) tell(name string, size int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.awaited[name]; ok && size >= a.size {
		a.reached <- at
		delete(s.awaited, name)
	}
}

// follow watches the namespace's Deployments until ctx ends.
func (s *sizes) follow(ctx context.Context, a *admin, namespace string) error {
	response, err := a.open(ctx, http.MethodGet, "/apis/apps/v1/namespaces/"+namespace+"/deployments?watch=1", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for events := json.NewDecoder(response.Body); ; {
		var event struct {
			Object struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
				Spec struct {
					Replicas int `json:"replicas"`
				} `json:"spec"`
			} `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			return fmt.Errorf("watch the Deployments: %w", err)
		}
		s.tell(event.Object.Metadata.Name, event.Object.Spec.Replicas, time.Now())
	}
}
