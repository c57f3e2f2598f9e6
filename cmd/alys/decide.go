package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/node"
)

// decide calls f with the running node and the reason that its journal is to keep: what
// the commands have in common by which an operator decides something.
func decide(cc *cli.Context, f func(client *admin.Client, reason string) error) error {
	s, err := readSettings(cc)
	if err != nil {
		return err
	}
	reason := cc.String("reason")
	if err := node.CheckReason(reason); err != nil {
		return fmt.Errorf("--reason: %w", err)
	}
	client, err := admin.Dial(s.dataDir)
	if err != nil {
		return err
	}
	defer client.Close()
	return f(client, reason)
}
