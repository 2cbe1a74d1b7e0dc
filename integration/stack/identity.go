package stack

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// An identity names one process for good: process ids are used again, but not
// with the same time of birth.
type identity struct {
	pid  int
	born string
}

func writeIdentity(file string, pid int) error {
	born, err := birth(pid)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it has ended, and whoever waits for it says why
	}
	if err != nil {
		return fmt.Errorf("read when process %d began: %w", pid, err)
	}
	return os.WriteFile(file, fmt.Appendf(nil, "%d %s\n", pid, born), 0o600)
}

func readIdentity(file string) (identity, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return identity{}, err
	}
	var id identity
	number, born, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	if _, err := fmt.Sscan(number, &id.pid); err != nil || id.pid <= 1 {
		return identity{}, fmt.Errorf("read %s: %q is no process id", file, number)
	}
	id.born = born
	return id, nil
}

// alive says whether this very process still runs.
func (id identity) alive() bool {
	born, err := birth(id.pid)
	return err == nil && born == id.born
}
