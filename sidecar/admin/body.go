package admin

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

const maxBody = 1 << 20 // bytes

// readNothing reads the body of a write that takes no parameters: none, or an
// empty JSON object.
func readNothing(w http.ResponseWriter, r *http.Request) *refusal {
	return readJSON(w, r, &struct{}{})
}

// readJSON reads the body of a write into parameters. Without a body they stay as
// they are. Names that they do not have are refused.
func readJSON(w http.ResponseWriter, r *http.Request, parameters any) *refusal {
	if r.ContentLength == 0 {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType,
			"a body must say Content-Type: application/json, not %q", r.Header.Get("Content-Type"))
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(parameters)
	if errors.Is(err, io.EOF) { // chunked, and empty
		err = nil
	} else if err == nil {
		err = atEnd(decoder)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return tooLarge()
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the body is not what %s takes: %v", r.URL.Path, err)
	}
	// The deadline was for the body; left in place it would cancel the request.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}

var errTrailing = errors.New("something follows the JSON value")

func atEnd(decoder *json.Decoder) error {
	_, err := decoder.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return errTrailing
	}
	return err
}

func tooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB, the most that is read here")
}
