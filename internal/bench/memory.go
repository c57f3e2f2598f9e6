package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// nodeMemory runs the development node for a while and reads its resident memory.
func (b *bench) nodeMemory(ctx context.Context) error {
	if b.alys == "" {
		return nil
	}
	if _, err := os.Stat(b.alys); err != nil {
		return fmt.Errorf("%s is missing: run make build first, or give -alys \"\"", b.alys)
	}
	node := exec.CommandContext(ctx, b.alys, "node", "--dev", "--data-dir", filepath.Join(b.dir, "node"))
	out, err := node.StdoutPipe()
	if err != nil {
		return err
	}
	if err := node.Start(); err != nil {
		return err
	}
	blocks := 0
	lines := bufio.NewScanner(out)
	deadline := time.Now().Add(time.Minute)
	for blocks < 15 && time.Now().Before(deadline) && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "block ") {
			blocks++
		}
	}
	resident, peak, err := memoryOf(node.Process.Pid)
	_ = node.Process.Signal(syscall.SIGTERM)
	go func() {
		for lines.Scan() { // let it write its last lines
		}
	}()
	stopping := time.Now()
	if waited := node.Wait(); waited != nil && err == nil {
		err = fmt.Errorf("development node: %w", waited)
	}
	row("development node, resident memory", "%s now, %s peak (limit 400 MB), after %d blocks", resident, peak, blocks)
	row("development node, clean stop", "%v", time.Since(stopping).Round(time.Millisecond))
	return err
}

// memoryOf reads a process's resident set, now and at its largest.
func memoryOf(pid int) (resident, peak string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown", "unknown", nil // not Linux
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "VmRSS":
			resident = megabytes(value)
		case "VmHWM":
			peak = megabytes(value)
		}
	}
	return resident, peak, nil
}

func megabytes(kb string) string {
	var n int
	if _, err := fmt.Sscanf(strings.TrimSpace(kb), "%d kB", &n); err != nil {
		return kb
	}
	return fmt.Sprintf("%d MB", n/1024)
}
