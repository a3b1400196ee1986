//go:build localstack

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// localStackImage is the last LocalStack that runs without a token.
const localStackImage = "localstack/localstack:4.14.0"

func openLocalStack() (func(), error) {
	ctx := context.Background()
	if err := dockerRuns(ctx); err != nil {
		return nil, fmt.Errorf("no Docker answers (%w); `make integration ENDPOINT=localstack` starts LocalStack without it", err)
	}
	container, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{Started: true,
		ContainerRequest: testcontainers.ContainerRequest{Image: localStackImage, ExposedPorts: []string{"4566/tcp"},
			Env: map[string]string{"SQS_ENDPOINT_STRATEGY": "path", "DISABLE_EVENTS": "1", "DYNAMODB_IN_MEMORY": "1",
				"EAGER_SERVICE_LOADING": "1", "SERVICES": "sqs,dynamodb,s3,ec2,ssm,sts,iam,cloudwatch,events,sns,cloudformation"},
			WaitingFor: wait.ForHTTP("/_localstack/health").WithPort("4566/tcp").WithStartupTimeout(3 * time.Minute)}})
	if err != nil {
		return nil, fmt.Errorf("start LocalStack: %w", err)
	}
	if endpoint, err = container.PortEndpoint(ctx, "4566/tcp", "http"); err != nil {
		return nil, errors.Join(err, container.Terminate(ctx))
	}
	return func() {
		if err := container.Terminate(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
		}
	}, nil
}

func dockerRuns(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics where it finds no Docker at all
			err = fmt.Errorf("%v", p)
		}
	}()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	return errors.Join(provider.Health(ctx), provider.Close())
}
