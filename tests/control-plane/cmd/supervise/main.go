// Command supervise runs one program and ends it as soon as its own standard input closes, so that nothing is
// left running when whoever started it goes away for any reason, SIGKILL included.
//
// A line "done" on standard input before it closes means that the caller clears up the files itself; without it
// the directory given with -remove is removed too.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	grace := flag.Duration("grace", 0, "time between SIGTERM and SIGKILL; 0 kills at once")
	remove := flag.String("remove", "", "directory to remove when the caller vanished")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: supervise [-grace 10s] [-remove DIRECTORY] PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	// The parent death signal follows the thread that started the child, so that thread must stay.
	runtime.LockOSThread()
	os.Exit(run(*grace, *remove, flag.Args()))
}

// run returns the exit code of the program, or 0 when it was ended on request.
func run(grace time.Duration, remove string, command []string) int {
	// Ctrl-c reaches the whole process group of a terminal. It is the caller who decides when to stop and in which
	// order; caught, not ignored, because an ignored signal would stay ignored in the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)

	program := exec.Command(command[0], command[1:]...)
	program.Stdout, program.Stderr = os.Stdout, os.Stderr
	program.SysProcAttr = childAttributes()
	if err := program.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "supervise:", err)
		return 127
	}
	exited := make(chan error, 1)
	go func() { exited <- program.Wait() }()
	callerDone := make(chan bool, 1)
	go func() { callerDone <- waitForCaller() }()

	var clearedByCaller bool
	select {
	case err := <-exited:
		return exitCode(err)
	case clearedByCaller = <-callerDone:
	case <-terminate:
		clearedByCaller = true
	}
	stop(program.Process.Pid, grace, exited)
	if remove != "" && !clearedByCaller {
		removeAll(remove)
	}
	return 0
}

// waitForCaller returns once standard input is closed, and whether the caller said "done" before.
func waitForCaller() bool {
	done := false
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		done = done || lines.Text() == "done"
	}
	return done
}

// stop ends the program's whole process group, politely first when there is a grace period.
func stop(pid int, grace time.Duration, exited <-chan error) {
	if grace > 0 {
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		select {
		case <-exited:
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return
		case <-time.After(grace):
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-exited
}

// removeAll tries for a while: other programs that use the directory are being ended at the same moment.
func removeAll(directory string) {
	for range 20 {
		if err := os.RemoveAll(directory); err == nil {
			if _, err := os.Stat(directory); errors.Is(err, os.ErrNotExist) {
				time.Sleep(100 * time.Millisecond)
				if _, err := os.Stat(directory); errors.Is(err, os.ErrNotExist) {
					return
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "supervise:", err)
		return 1
	}
}
