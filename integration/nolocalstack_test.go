//go:build !localstack

package integration

import "errors"

// openLocalStack needs the container library, which takes longer to build than all of this suite: it has a tag of its own.
func openLocalStack() (func(), error) {
	return nil, errors.New("built without LocalStack; run `make integration ENDPOINT=localstack`")
}
