//go:build !linux

package main

import "syscall"

// childAttributes gives the program a process group of its own. There is no parent death signal here: only killing
// supervise itself could leave the program behind.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
