package api

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// CBORProtocol is how a service with Smithy's RPC v2 CBOR protocol (CloudWatch) writes its answers.
type CBORProtocol struct{}

// IsCBOR says whether the request came by that protocol.
func IsCBOR(r *http.Request) bool { return r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" }

// Write answers with v, a struct whose members are named by json tags, or nil. Times become epoch seconds.
func (p CBORProtocol) Write(w http.ResponseWriter, r *Request, v any) {
	var body cbor.Value = cbor.Map{}
	if v != nil {
		body = toCBOR(reflect.ValueOf(v))
	}
	p.write(w, r, http.StatusOK, body)
}

// WriteError answers with err, an *Error or something internal.
func (p CBORProtocol) WriteError(w http.ResponseWriter, r *Request, err error) {
	e := AsError(err)
	note(w, e.Code)
	fault := "Sender"
	if e.Status >= 500 {
		fault = "Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", e.Code+";"+fault)
	fields := cbor.Map{"message": cbor.String(e.Message)}
	maps.Copy(fields, cbor.Map{"__type": cbor.String("com.amazonaws." + r.Service + "#" + e.Code)})
	p.write(w, r, e.Status, fields)
}

func (p CBORProtocol) write(w http.ResponseWriter, r *Request, status int, body cbor.Value) {
	encoded := cbor.Encode(body)
	h := w.Header()
	h.Set("Smithy-Protocol", "rpc-v2-cbor")
	h.Set("Content-Type", "application/cbor")
	h.Set("X-Amzn-Requestid", r.ID)
	h.Set("Content-Length", strconv.Itoa(len(encoded)))
	w.WriteHeader(status)
	// The writer is the endpoint's buffer: it does not fail.
	_, _ = w.Write(encoded)
}

// DecodeCBOR reads a CBOR body into a pointer to a struct, as strictly as DecodeJSON.
func DecodeCBOR(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return Errorf("SerializationException", "the body is not CBOR: %v", err)
	}
	plain, err := fromCBOR(value)
	if err != nil {
		return Errorf("SerializationException", "%v", err)
	}
	text, err := Marshal(plain)
	if err != nil {
		return Errorf("SerializationException", "%v", err)
	}
	return DecodeJSON(text, into)
}

// fromCBOR is the value as encoding/json knows it.
func fromCBOR(v cbor.Value) (any, error) {
	switch v := v.(type) {
	case cbor.Uint:
		return uint64(v), nil
	case cbor.NegInt:
		return -int64(v), nil
	case cbor.Slice:
		return base64.StdEncoding.EncodeToString(v), nil
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case cbor.Float32:
		return float64(v), nil
	case cbor.Float64:
		return float64(v), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	case *cbor.Tag:
		at, err := cbor.AsTime(v)
		return at.UTC().Format(time.RFC3339Nano), err
	case cbor.List:
		list := make([]any, 0, len(v))
		for _, element := range v {
			plain, err := fromCBOR(element)
			if err != nil {
				return nil, err
			}
			list = append(list, plain)
		}
		return list, nil
	case cbor.Map:
		members := make(map[string]any, len(v))
		for key, element := range v {
			plain, err := fromCBOR(element)
			if err != nil {
				return nil, err
			}
			members[key] = plain
		}
		return members, nil
	}
	return nil, fmt.Errorf("the body holds a %T, which no parameter has", v)
}

// toCBOR is a Go value; empty members with omitempty or omitzero are left out.
func toCBOR(v reflect.Value) cbor.Value {
	if at, ok := reflect.TypeAssert[time.Time](v); ok {
		return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(at.UnixMilli()) / 1000)}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return toCBOR(v.Elem())
	case reflect.String:
		return cbor.String(v.String())
	case reflect.Bool:
		return cbor.Bool(v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		if v.Int() < 0 {
			return cbor.NegInt(-v.Int())
		}
		return cbor.Uint(v.Int())
	case reflect.Float64:
		return cbor.Float64(v.Float())
	case reflect.Slice:
		list := make(cbor.List, 0, v.Len())
		for i := range v.Len() {
			list = append(list, toCBOR(v.Index(i)))
		}
		return list
	case reflect.Struct:
		members := cbor.Map{}
		for i := range v.NumField() {
			name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if name == "" {
				name = v.Type().Field(i).Name
			}
			if name == "-" || options != "" && v.Field(i).IsZero() || v.Field(i).Kind() == reflect.Pointer && v.Field(i).IsNil() {
				continue
			}
			members[name] = toCBOR(v.Field(i))
		}
		return members
	}
	panic("api: CBORProtocol does not know values of type " + v.Type().String())
}
