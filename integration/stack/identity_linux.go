package stack

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// birth returns when a process began: the boot and the clock ticks since. It is
// os.ErrNotExist for one that has ended, even if its parent has not noticed.
func birth(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, syscall.ESRCH) {
		return "", os.ErrNotExist
	}
	if err != nil {
		return "", err
	}
	// "pid (command) state …": the command may hold spaces and parentheses.
	// The time is field 22 (proc_pid_stat(5)), the 20th after the command.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields after the command, want 20 or more", pid, len(fields))
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return "", os.ErrNotExist
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19], nil
}
