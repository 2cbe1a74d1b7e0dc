package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long one process may take to become ready: much longer than
// it does on two busy cores.
const patience = 90 * time.Second

// await asks a process until it answers 200. Nothing tells us that it listens,
// so we ask often; should it end meanwhile, ctx does too.
func (s *Stack) await(ctx context.Context, name, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready after %s", patience))
	defer cancel()
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		answer := s.ask(ctx, url)
		if answer == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			log := filepath.Join(s.folder, "logs", name+".log")
			return fmt.Errorf("wait for %s: %w; last answer: %w; the end of its log:\n%s", name, context.Cause(ctx), answer, endOf(log))
		}
	}
}

func (s *Stack) ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status + " " + strings.TrimSpace(string(body)))
	}
	return err
}
