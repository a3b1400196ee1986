package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// JSONProtocol is how a service with a JSON protocol writes its answers.
type JSONProtocol struct {
	// Version is 1.0 (SQS, DynamoDB) or 1.1 (SSM, Secrets Manager).
	Version string
	// Namespace stands before # in __type; empty for services that give the bare code.
	Namespace string
	// QueryCodes maps a modelled error to the code that the service's older query protocol gave; SDKs of
	// query-compatible services report that one. Nil for services that never had a query protocol.
	QueryCodes map[string]string
}

// Write answers with v. A nil v is an empty body.
func (p JSONProtocol) Write(w http.ResponseWriter, r *Request, v any) {
	if v == nil {
		p.WriteRaw(w, r, http.StatusOK, nil)
		return
	}
	body, err := Marshal(v)
	if err != nil {
		p.WriteError(w, r, fmt.Errorf("the answer of %s cannot be encoded: %w", r.Action, err))
		return
	}
	p.WriteRaw(w, r, http.StatusOK, body)
}

// WriteRaw answers with a body that is encoded already.
func (p JSONProtocol) WriteRaw(w http.ResponseWriter, r *Request, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-"+p.Version)
	h.Set("X-Amzn-Requestid", r.ID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Service == "dynamodb" { // its SDKs check the body against it
		h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	}
	w.WriteHeader(status)
	// The writer is the endpoint's buffer: it does not fail.
	_, _ = w.Write(body)
}

// WriteError answers with err, an *Error or something internal.
func (p JSONProtocol) WriteError(w http.ResponseWriter, r *Request, err error) {
	e := AsError(err)
	note(w, e.Code)
	fields := map[string]any{"message": e.Message}
	maps.Copy(fields, e.Fields)
	fields["__type"] = e.Code
	if p.Namespace != "" {
		fields["__type"] = p.Namespace + "#" + e.Code
	}
	w.Header().Set("X-Amzn-Errortype", e.Code)
	if p.QueryCodes != nil {
		code, fault := e.Code, "Sender"
		if older := p.QueryCodes[code]; older != "" {
			code = older
		}
		if e.Status >= 500 {
			fault = "Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", code+";"+fault)
	}
	body, encodeErr := Marshal(fields)
	if encodeErr != nil {
		body = []byte(`{"__type":"InternalFailure","message":"an error's members cannot be encoded"}`)
	}
	p.WriteRaw(w, r, e.Status, body)
}

// Marshal is json.Marshal without escaping <, > and &, which AWS leaves as they are.
func Marshal(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// DecodeJSON reads a JSON body into a pointer to a struct. A member that the struct does not have is a
// ValidationException, stricter than AWS, which would drop it silently; a wrong type is a SerializationException.
func DecodeJSON(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return decodeError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Errorf("SerializationException", "the body goes on after its JSON value")
	}
	return nil
}

func decodeError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Errorf("SerializationException", "%s: expected %s, got a %s", e.Field, e.Type, e.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return Errorf("ValidationException", "unknown parameter %s: the call does not have it, or this endpoint does not support it", name)
	}
	return Errorf("SerializationException", "the body is not the JSON that the call expects: %v", err)
}
