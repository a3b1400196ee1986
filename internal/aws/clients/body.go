package clients

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// wholeBody is the largest body that a request holds in memory anyway: larger ones are files that stream.
const wholeBody = 1 << 20

// memoryBodies hands requests to the HTTP client with bodies that the client knows to be in memory.
//
// The SDK closes a request's body as soon as its answer begins. Where that is before the client's writer has seen the
// body's end, the client takes the close for a broken upload and cuts the connection under the answer that is still being
// read. And a body in memory goes out in one write with the request's head.
type memoryBodies struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (m memoryBodies) Do(request *http.Request) (*http.Response, error) {
	if request.Body == nil || request.ContentLength <= 0 || request.ContentLength > wholeBody {
		return m.HTTPClient.Do(request)
	}
	content := make([]byte, request.ContentLength)
	if _, err := io.ReadFull(request.Body, content); err != nil {
		return nil, err
	}
	own := request.WithContext(request.Context())
	own.Body = io.NopCloser(bytes.NewReader(content))
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return m.HTTPClient.Do(own)
}
