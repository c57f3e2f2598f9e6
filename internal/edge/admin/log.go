package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// levelRequest is the body of POST /log/levels.
type levelRequest struct {
	Actor string `json:"actor"`
	Level string `json:"level"`
}

func (s *server) logLevels(w http.ResponseWriter, r *http.Request) {
	if s.handlers.LogLevels == nil {
		notOffered(w, r)
		return
	}
	v, err := s.handlers.LogLevels(r.Context())
	reply(w, v, err)
}

func (s *server) setLogLevel(w http.ResponseWriter, r *http.Request) {
	if s.handlers.SetLogLevel == nil {
		notOffered(w, r)
		return
	}
	var q levelRequest
	if err := decode(w, r, &q); err != nil {
		refuse(w, err)
		return
	}
	reply(w, map[string]bool{"changed": true}, s.handlers.SetLogLevel(r.Context(), q.Actor, q.Level))
}

// LogLevels stores the levels of the node's log in v, a pointer as for json.Unmarshal.
func (c *Client) LogLevels(ctx context.Context, v any) error {
	return c.do(ctx, http.MethodGet, "/log/levels", nil, v)
}

// SetLogLevel changes the level of an actor, of all without one of their own when
// actor is empty.
func (c *Client) SetLogLevel(ctx context.Context, actor, level string) error {
	body, err := json.Marshal(levelRequest{Actor: actor, Level: level})
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "log level")
	}
	return c.do(ctx, http.MethodPost, "/log/levels", body, nil)
}
