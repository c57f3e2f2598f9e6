package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

func (s *server) peg(w http.ResponseWriter, r *http.Request) {
	params, ok := requestOf[json.RawMessage](w, r, s.handlers.Peg != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	v, err := s.handlers.Peg(ctx, r.PathValue("question"), params)
	reply(w, v, err)
}

func (s *server) resumePeg(w http.ResponseWriter, r *http.Request) {
	request, ok := requestOf[allowRequest](w, r, s.handlers.ResumePeg != nil)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	reply(w, map[string]bool{"resumed": true}, s.handlers.ResumePeg(ctx, request.Reason))
}

// Peg asks the node about the peg, by the name of the question, and stores the answer in v.
func (c *Client) Peg(ctx context.Context, question string, params, v any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "question about the peg")
	}
	return c.do(ctx, http.MethodPost, "/peg/"+url.PathEscape(question), body, v)
}

// ResumePeg has the peg of the node go on after a halt; the reason is kept in its
// journal. The error wraps [ErrRefused] when it is not halted.
func (c *Client) ResumePeg(ctx context.Context, reason string) error {
	return c.post(ctx, "/peg/resume", "reason", allowRequest{Reason: reason}, nil)
}
