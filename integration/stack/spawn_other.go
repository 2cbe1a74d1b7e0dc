//go:build unix && !linux

package stack

import "syscall"

// groupOfItsOwn has a child lead a process group, so that it can be ended with
// all it started. Only Linux can tie its life to ours as well.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// marked finds nothing: other processes' environments are not to be read here.
// What a killed supervisor leaves is found by its pid files alone.
func marked(string) []int { return nil }
