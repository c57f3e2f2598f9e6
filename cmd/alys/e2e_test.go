//go:build e2e

package main

import "testing"

// The slow scripts: whole chains, a development node in real time.
func TestEndToEnd(t *testing.T) { runScripts(t, "testdata/e2e") }
