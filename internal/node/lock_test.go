package node_test

import (
	"strings"
	"testing"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

func TestStatementText(t *testing.T) {
	s := message.Statement{Authority: 14, Signature: aura.DevKey(1).Sign(aura.NeverApproveRoot([32]byte{1}))}
	text := node.FormatStatement(s)
	if got, err := node.ParseStatement(text); err != nil || got != s {
		t.Errorf("%s reads as %+v, %v", text, got, err)
	}
	for _, bad := range []string{"", ":", "14", "14:", "x" + text, text + "00", text[:len(text)-1], "300:" + text[3:], strings.Repeat("9", 1<<16)} {
		if _, err := node.ParseStatement(bad); !fault.Is(err, fault.Invalid) || len(err.Error()) > 300 {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}
