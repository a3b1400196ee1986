package localaws

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
)

// start runs an endpoint for a test; it ends with it.
func start(t testing.TB, config Config) *Server {
	t.Helper()
	server, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// sdk is an SDK configuration that reaches the endpoint in process.
func sdk(server *Server, accessKey string) aws.Config {
	return sdkOver(server.URL(), accessKey, server.Client())
}

func sdkOver(url, accessKey string, client *http.Client) aws.Config {
	return aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(accessKey, "secret", ""), BaseEndpoint: aws.String(url),
		HTTPClient: client, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

var background = context.Background()

// codeOf is an SDK error's code, or its text.
func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	if err == nil {
		return "no error"
	}
	return err.Error()
}
