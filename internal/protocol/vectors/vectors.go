// Package vectors reads the data the legacy program produced, for tests.
//
// # Usage
//
//	go test -count=1 -v -run TestVectors ./internal/protocol/vectors
//	ALYS_VECTORS=DIR go test -count=1 -v -run TestVectors ./internal/protocol/vectors
//
// TestVectors puts every line of every file through the public functions of the
// protocol packages, compares every member, and prints file, lines and lines that
// agree. A file that is missing or empty fails it. `make vectors` runs it.
//
// # Layout
//
// A directory holds NAME.jsonl or NAME.jsonl.gz, one JSON object a line, for the
// names in TestVectors; testdata/legacy is one. The members are what the legacy
// program wrote; where a page and a member disagree, the member is right.
package vectors

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxLine bounds one line, in bytes.
const maxLine = 64 << 20

// Env is the environment variable that names another directory of vectors.
const Env = "ALYS_VECTORS"

// Dir returns the directory of vectors: that of [Env], or fallback.
func Dir(fallback string) string {
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	return fallback
}

// Lines returns the lines of dir/name.jsonl or dir/name.jsonl.gz without their
// ends. A missing file and one without lines are errors.
func Lines(dir, name string) ([][]byte, error) {
	path := filepath.Join(dir, name+".jsonl")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		path += ".gz"
		data, err = readGzip(path)
	}
	if err != nil {
		return nil, fmt.Errorf("vectors %s: %w", path, err)
	}
	var lines [][]byte
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(make([]byte, 0, 1<<20), maxLine)
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("vectors %s: line %d: %w", path, len(lines)+1, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("vectors %s: no lines", path)
	}
	return lines, nil
}

func readGzip(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
