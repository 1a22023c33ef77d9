package main

import "syscall"

// childAttributes gives the program a process group of its own and ends it even when supervise itself is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
