package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// archiveRequest is the body of POST /archive.
type archiveRequest struct {
	Before       uint64 `json:"before"`
	SegmentBytes int64  `json:"segment_bytes"`
}

func (s *server) archive(w http.ResponseWriter, r *http.Request) {
	if s.handlers.Archive == nil {
		notOffered(w, r)
		return
	}
	var request archiveRequest
	if err := decode(w, r, &request); err != nil {
		refuse(w, err)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // as for a checkpoint
	v, err := s.handlers.Archive(r.Context(), request.Before, request.SegmentBytes)
	reply(w, v, err)
}

// Archive asks the node to move the events before a sequence into its archive,
// and stores the answer in v. It returns when that is done; a context that ends
// stops the node at the next segment.
func (c *Client) Archive(ctx context.Context, before uint64, segmentBytes int64, v any) error {
	body, err := json.Marshal(archiveRequest{Before: before, SegmentBytes: segmentBytes})
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "request to archive")
	}
	return c.do(ctx, http.MethodPost, "/archive", body, v)
}
