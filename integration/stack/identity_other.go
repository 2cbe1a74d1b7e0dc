//go:build unix && !linux

package stack

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// birth returns when a process began. It is os.ErrNotExist for one that has
// ended, even if its parent has not noticed.
func birth(pid int) (string, error) {
	ps := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	ps.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/bin:/usr/bin"}
	output, err := ps.Output()
	state, born, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	switch {
	case state == "" || strings.HasPrefix(state, "Z"): // ps says nothing, with status 1, where there is no such process
		return "", os.ErrNotExist
	case err != nil:
		return "", err
	}
	return strings.TrimSpace(born), nil
}
