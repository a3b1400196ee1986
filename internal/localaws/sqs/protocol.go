package sqs

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// older maps SQS's errors to the codes of its query protocol, which SDKs report even when they speak JSON.
var older = map[string]string{
	"QueueDoesNotExist":                 "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":                   "QueueAlreadyExists",
	"QueueDeletedRecently":              "AWS.SimpleQueueService.QueueDeletedRecently",
	"PurgeQueueInProgress":              "AWS.SimpleQueueService.PurgeQueueInProgress",
	"EmptyBatchRequest":                 "AWS.SimpleQueueService.EmptyBatchRequest",
	"TooManyEntriesInBatchRequest":      "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"BatchEntryIdsNotDistinct":          "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":               "AWS.SimpleQueueService.BatchRequestTooLong",
	"InvalidBatchEntryId":               "AWS.SimpleQueueService.InvalidBatchEntryId",
	"MessageNotInflight":                "AWS.SimpleQueueService.MessageNotInflight",
	"UnsupportedOperation":              "AWS.SimpleQueueService.UnsupportedOperation",
	"InvalidParameterValueException":    "InvalidParameterValue",
	"MissingRequiredParameterException": "MissingParameter",
}

var (
	jsonProtocol  = api.JSONProtocol{Version: "1.0", Namespace: "com.amazonaws.sqs", QueryCodes: older}
	queryProtocol = api.QueryProtocol{Namespace: "http://queue.amazonaws.com/doc/2012-11-05/"}
)

// decode reads a call's parameters in the protocol that it came in.
func decode(r *api.Request, into any) error {
	if r.Form == nil {
		return api.DecodeJSON(r.Body, into)
	}
	// Old clients name the queue by the address that they post to.
	if path := strings.Trim(r.HTTP.URL.Path, "/"); path != "" && !r.Form.Has("QueueUrl") {
		r.Form.Set("QueueUrl", r.HTTP.URL.Path)
	}
	return api.DecodeQuery(r.Form, into)
}

func write(w http.ResponseWriter, r *api.Request, result any) {
	if got, ok := result.(receiveResult); ok && len(got.Messages) == 0 {
		if noter, ok := w.(api.EmptyNoter); ok {
			noter.NoteEmpty()
		}
	}
	if r.Form == nil {
		if result == nil {
			result = struct{}{}
		}
		jsonProtocol.Write(w, r, result)
		return
	}
	if shaped, ok := result.(interface{ xmlShape() any }); ok {
		result = shaped.xmlShape()
	}
	queryProtocol.Write(w, r, result)
}

func writeError(w http.ResponseWriter, r *api.Request, err error) {
	if r.Form == nil {
		jsonProtocol.WriteError(w, r, err)
		return
	}
	e := *api.AsError(err)
	if code := older[e.Code]; code != "" {
		e.Code = code
	}
	queryProtocol.WriteError(w, r, &e)
}

func unknownOperation(r *api.Request) string {
	if r.Form == nil {
		return "UnknownOperationException"
	}
	return "InvalidAction"
}

func invalid(format string, args ...any) error {
	return api.Errorf("InvalidParameterValueException", format, args...)
}

func missing(name string) error {
	return api.Errorf("MissingRequiredParameterException", "The request must contain the parameter %s.", name)
}

// MarshalXML writes binary values in base64, as the query protocol has them.
func (a attribute) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	shape := struct {
		StringValue *string `xml:",omitempty"`
		BinaryValue string  `xml:",omitempty"`
		DataType    string
	}{a.StringValue, base64.StdEncoding.EncodeToString(a.BinaryValue), a.DataType}
	return e.EncodeElement(shape, start)
}
