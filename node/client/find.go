// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"croft/lease/offer"
	"croft/node/api"
)

// Find asks for nodes.
func (w *Way) Find(ctx context.Context, req offer.FindRequest) (r offer.Result, err error) {
	return r, w.call(ctx, "POST", "/v1/find", req, &r)
}

// maxFound is the size in bytes of one node found as JSON: the offer twice, as
// signed and as read, and room for its names.
const maxFound = 16 << 10

// Seek asks for nodes and tells each as it is found. The result has none of them,
// but what became of the others. What tell returns ends the search and is the
// error.
func (w *Way) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	q := url.Values{}
	for name, value := range map[string]string{"query": req.Query, "limit": number(req.Limit), "enough": number(req.Enough)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if !req.View {
		q.Set("view", "off")
	}
	if req.Explain {
		q.Set("explain", "1")
	}
	resp, err := get(ctx, w.http, "/v1/find?"+q.Encode())
	if err != nil {
		return offer.Result{}, w.noDaemon(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxFound)
	for lines.Scan() {
		var line api.FindLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return offer.Result{}, fmt.Errorf("the answer broke off: %w", err)
		}
		switch {
		case line.Found != nil:
			if err := tell(*line.Found); err != nil {
				return offer.Result{}, err
			}
		case line.Result != nil:
			return *line.Result, nil
		}
	}
	if err = lines.Err(); err == nil {
		err = trailed(resp)
	}
	return offer.Result{}, fmt.Errorf("the answer broke off: %w", cmp.Or(err, io.ErrUnexpectedEOF))
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
