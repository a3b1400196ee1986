package clients

import (
	"context"
	"io"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"github.com/stampmill/stampmill/internal/jobs"
)

// call is the middleware around each call, its repetition included.
type call struct {
	timeout time.Duration
	observe Observer
}

// CallMiddleware is the name of the middleware that bounds and observes each call, in the step Initialize.
const CallMiddleware = "StampmillCall"

type timeoutKey struct{}

// WithTimeout gives the calls made with the context another time-out than the default. The lease must outlast it.
func WithTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, timeoutKey{}, d)
}

// add puts the middleware behind those that name the service and check the parameters, and before all others.
func (c *call) add(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc(CallMiddleware, c.handle), middleware.After)
}

func (c *call) handle(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	out middleware.InitializeOutput, metadata middleware.Metadata, err error,
) {
	begun := time.Now()
	bounded, cancel, err := jobs.CallContext(ctx, c.bound(ctx, in.Parameters))
	if err != nil {
		return out, metadata, err
	}
	out, metadata, err = next.HandleInitialize(bounded, in)
	if body, ok := out.Result.(*s3.GetObjectOutput); ok && err == nil && body.Body != nil {
		body.Body = &boundBody{ReadCloser: body.Body, cancel: cancel}
	} else {
		cancel()
	}
	if c.observe != nil {
		c.observe(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), err, time.Since(begun))
	}
	return out, metadata, err
}

// bound is the call's time-out. A long poll's comes on top of the time that it waits.
func (c *call) bound(ctx context.Context, parameters any) time.Duration {
	timeout := c.timeout
	if d, ok := ctx.Value(timeoutKey{}).(time.Duration); ok {
		timeout = d
	}
	if poll, ok := parameters.(*sqs.ReceiveMessageInput); ok {
		timeout += time.Duration(poll.WaitTimeSeconds) * time.Second
	}
	return timeout
}

// boundBody keeps the call's time-out running until the body is closed.
type boundBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *boundBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
