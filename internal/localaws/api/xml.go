package api

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
)

// QueryProtocol is how a service with the query protocol (SQS, STS, ELBv2) writes its answers.
type QueryProtocol struct {
	// Namespace is the answer's xmlns.
	Namespace string
}

// Write answers <ActionResponse><ActionResult>…</ActionResult><ResponseMetadata><RequestId/></ResponseMetadata>. The
// result is a struct or nil; the name of its own XML element is replaced.
func (p QueryProtocol) Write(w http.ResponseWriter, r *Request, result any) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0"?><%sResponse xmlns="%s">`, r.Action, p.Namespace)
	if result != nil {
		encoder := xml.NewEncoder(&b)
		if err := encoder.EncodeElement(result, element(r.Action+"Result")); err != nil {
			p.WriteError(w, r, fmt.Errorf("the answer of %s cannot be encoded: %w", r.Action, err))
			return
		}
	}
	fmt.Fprintf(&b, `<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`, r.ID, r.Action)
	writeXML(w, r, http.StatusOK, b.Bytes())
}

// WriteError answers <ErrorResponse><Error>…</Error><RequestId/></ErrorResponse>.
func (p QueryProtocol) WriteError(w http.ResponseWriter, r *Request, err error) {
	e := AsError(err)
	note(w, e.Code)
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0"?><ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		p.Namespace, kind, EscapeXML(e.Code), EscapeXML(e.Message), r.ID)
	writeXML(w, r, e.Status, b.Bytes())
}

// EC2Namespace is the xmlns of EC2's answers.
const EC2Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"

// WriteEC2 answers <ActionResponse><requestId/>…</ActionResponse> with the members of result, a struct or nil.
func WriteEC2(w http.ResponseWriter, r *Request, result any) {
	var inner []byte
	if result != nil {
		var b bytes.Buffer
		if err := xml.NewEncoder(&b).EncodeElement(result, element("r")); err != nil {
			WriteEC2Error(w, r, fmt.Errorf("the answer of %s cannot be encoded: %w", r.Action, err))
			return
		}
		inner = bytes.TrimSuffix(bytes.TrimPrefix(b.Bytes(), []byte("<r>")), []byte("</r>"))
	}
	var b bytes.Buffer
	b.Grow(len(inner) + 256)
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><%sResponse xmlns="%s"><requestId>%s</requestId>`, r.Action, EC2Namespace, r.ID)
	b.Write(inner)
	fmt.Fprintf(&b, `</%sResponse>`, r.Action)
	writeXML(w, r, http.StatusOK, b.Bytes())
}

// WriteEC2Error answers <Response><Errors><Error>…</Error></Errors><RequestID/></Response>.
func WriteEC2Error(w http.ResponseWriter, r *Request, err error) {
	e := AsError(err)
	note(w, e.Code)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>`,
		EscapeXML(e.Code), EscapeXML(e.Message), r.ID)
	writeXML(w, r, e.Status, b.Bytes())
}

// WriteS3Error answers <Error><Code/><Message/>…</Error>; to a HEAD request the status alone, as S3 does.
func WriteS3Error(w http.ResponseWriter, r *Request, err error) {
	e := AsError(err)
	note(w, e.Code)
	w.Header().Set("X-Amz-Request-Id", r.ID)
	if r.HTTP.Method == http.MethodHead {
		w.WriteHeader(e.Status)
		return
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><Resource>%s</Resource><RequestId>%s</RequestId></Error>`,
		EscapeXML(e.Code), EscapeXML(e.Message), EscapeXML(r.HTTP.URL.Path), r.ID)
	writeXML(w, r, e.Status, b.Bytes())
}

// EscapeXML makes text safe between tags.
func EscapeXML(text string) string {
	var b bytes.Buffer
	// A bytes.Buffer does not fail.
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

func element(name string) xml.StartElement { return xml.StartElement{Name: xml.Name{Local: name}} }

func writeXML(w http.ResponseWriter, r *Request, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml;charset=UTF-8")
	h.Set("X-Amzn-Requestid", r.ID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// The writer is the endpoint's buffer: it does not fail.
	_, _ = w.Write(body)
}
