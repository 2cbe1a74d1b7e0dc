package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// groupOfItsOwn has a child lead a process group, so that it can be ended with
// all it started, and die with the thread that started it.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// marked lists the processes that belong to the stack in folder, however they
// were started: they all inherit its mark.
func marked(folder string) []int {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, file := range environments {
		environ, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, or is someone else's
		}
		if !bytes.Contains(append([]byte{0}, environ...), append([]byte("\x00"+mark(folder)), 0)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
