package dynamodb

import (
	"errors"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

func failure(code, format string, args ...any) *api.Error { return api.Errorf(code, format, args...) }

// invalid is DynamoDB's answer to a request that breaks a rule.
func invalid(format string, args ...any) error {
	return failure("ValidationException", format, args...)
}

// parameter is invalid with the words by which DynamoDB introduces most of its rules.
func parameter(format string, args ...any) error {
	return failure("ValidationException", "One or more parameter values were invalid: "+format, args...)
}

// constraint is how AWS words the rules of its models: lengths, patterns, enumerations.
func constraint(value, at, rule string) error {
	if value != "null" {
		value = "'" + value + "'"
	}
	return failure("ValidationException", "1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", value, at, rule)
}

var errNotFound = failure("ResourceNotFoundException", "Requested resource not found")

// asValidation is the error if it is one of validation.
func asValidation(err error) *api.Error {
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "ValidationException" {
		return e
	}
	return nil
}
