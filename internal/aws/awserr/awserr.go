// Package awserr turns what the SDK answers into *jobs.Error: AWS's codes, as named sets, become classes that say what to
// do. Codes rule before the HTTP status, since capacity errors come as HTTP 500. It is the only place that knows codes.
package awserr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stampmill/stampmill/internal/jobs"
)

// The sets, from aws-facts "Errors by what to do (by code, before the HTTP status)" and, below the blank line of a set,
// what the services document beside them.
var (
	// RetryCodes: the same call with the same token may succeed later.
	RetryCodes = []string{
		"RequestLimitExceeded", "Throttling", "ThrottlingException", "InternalError", "InternalFailure", "ServerInternal",
		"ServiceUnavailable", "Unavailable", "RequestTimeout", "TooManyUpdates", "ConcurrentTagAccess", "TransactionConflict",
		"TransactionConflictException", "TransactionInProgressException",

		"ProvisionedThroughputExceededException", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestThrottled",
		"RequestThrottledException", "TooManyRequestsException", "SlowDown", "Client.RequestLimitExceeded", "InternalServerError",
		"InternalServiceError", "OperationAborted", "ConditionalRequestConflict", "ExpiredToken", "ExpiredTokenException",
		"RequestExpired", "RequestTimeTooSkewed", "KmsThrottled", "OverLimit", "ResourceContention",
	}
	// ThrottleCodes are those of RetryCodes that mean an empty bucket: nothing took effect.
	ThrottleCodes = []string{
		"RequestLimitExceeded", "Client.RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottlingError",
		"ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "SlowDown", "TooManyUpdates", "KmsThrottled", "OverLimit",
	}
	// PropagatingCodes: what was just made is not visible everywhere yet; bounded.
	PropagatingCodes = []string{
		"InvalidInstanceID.NotFound", "InvalidAMIID.NotFound", "InvalidGroup.NotFound", "InvalidAMIID.Unavailable",
		"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException",
		"InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.VersionNotFound",
		"InvalidInstanceId", "InvocationDoesNotExist",
	}
	// BusyCodes: others' work must end first.
	BusyCodes = []string{
		"ResourceLimitExceeded", "ConcurrentSnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded",
		"ConcurrentCreateImageNoRebootLimitExceeded", "InstanceRefreshInProgress",

		"InvalidSnapshot.InUse", "TooManyTargets", "VolumeInUse", "IncorrectState", "InvalidNetworkInterface.InUse",
		"ScalingActivityInProgress",
	}
	// NextPoolCodes: this pool has no capacity; another one, with a new token, may.
	NextPoolCodes = []string{
		"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity",
		"InsufficientVolumeCapacity", "UnfulfillableCapacity", "ReservationCapacityExceeded", "Unsupported", "SpotMaxPriceTooLow",
		"MaxSpotInstanceCountExceeded", "InsufficientFreeAddressesInSubnet",

		"InsufficientCapacity", "InsufficientAddressCapacity",
	}
	// NewAttemptCodes: the token is spent.
	NewAttemptCodes = []string{"IdempotentInstanceTerminated"}
	// MismatchCodes: the token was used with other parameters.
	MismatchCodes = []string{"IdempotentParameterMismatch", "IdempotentParameterMismatchException"}
	// ParkCodes: a person or a quota must change something first.
	ParkCodes = []string{
		"VcpuLimitExceeded", "InstanceLimitExceeded", "VolumeLimitExceeded", "PendingVerification",

		"SnapshotLimitExceeded", "ImageLimitExceeded", "AMIQuotaExceeded",
	}
	// FatalCodes: it fails for good. Every code that begins with InvalidParameter is one of them.
	FatalCodes = []string{
		"UnauthorizedOperation", "AuthFailure", "Blocked", "OptInRequired", "InvalidAMIID.Malformed", "InvalidUserData.Malformed",

		"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId",
		"SignatureDoesNotMatch", "MissingParameter", "UnknownParameter", "ValidationError", "ValidationException",
		"InvalidInstanceID.Malformed", "InvalidID", "InvalidSubnetID.NotFound", "InvalidVpcID.NotFound", "InvalidKeyPair.NotFound",
		"InvalidBlockDeviceMapping", "InvalidInput", "UnsupportedOperation", "ResourceNotFoundException", "NoSuchBucket",
		"InvalidFilterKey", "InvalidDocument", "UnsupportedPlatformType",
		"InvalidVolume.ZoneMismatch", "AttachmentLimitExceeded", "Resource.AlreadyAssociated", "OperationNotPermitted",
		"AuthFailure.ServiceLinkedRoleCreationNotPermitted", "VPCIdNotSpecified", "IrreversibleInstanceRefresh",
	}
	// NotFoundCodes: the thing is not there. Every other code that ends in NotFound or NotFoundException is one of them.
	NotFoundCodes = []string{
		"ParameterNotFound", "ParameterVersionNotFound", "NoSuchKey", "NotFound", "TargetGroupNotFound", "InvalidSnapshot.NotFound",
		"InvalidVolume.NotFound", "InvalidCommandId", "InvalidSpotInstanceRequestID.NotFound", "NoSuchEntity",
	}
	// DuplicateCodes: a thing with this name is there already.
	DuplicateCodes = []string{
		"InvalidAMIName.Duplicate", "InvalidGroup.Duplicate", "InvalidKeyPair.Duplicate", "ParameterAlreadyExists",
		"InvalidLaunchTemplateName.AlreadyExistsException", "PreconditionFailed", "ConditionalCheckFailedException",
	}
	// OneOfManyCodes: one of the ids or values that the call names is at fault. A code has its class in another set, too.
	OneOfManyCodes = []string{
		"InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidID",
		"InvalidInstanceId", "InvalidInstanceInformationFilterValue", "InvalidFilterValue", "InvalidParameterValue", "ValidationException",
	}
)

var classes = func() map[string]jobs.Class {
	m := map[string]jobs.Class{}
	for class, codes := range map[jobs.Class][]string{
		jobs.Retry: RetryCodes, jobs.Propagating: PropagatingCodes, jobs.Busy: BusyCodes, jobs.NextPool: NextPoolCodes,
		jobs.NewAttempt: NewAttemptCodes, jobs.Mismatch: MismatchCodes, jobs.Park: ParkCodes, jobs.Fatal: FatalCodes,
		jobs.NotFound: NotFoundCodes, jobs.Duplicate: DuplicateCodes,
	} {
		for _, code := range codes {
			if _, twice := m[code]; twice {
				panic("awserr: " + code + " stands in two sets")
			}
			m[code] = class
		}
	}
	return m
}()

var throttles = func() map[string]bool {
	m := map[string]bool{}
	for _, code := range ThrottleCodes {
		m[code] = true
	}
	return m
}()

// From classifies what an SDK call answered; thing is the id or name that the call was about. Nil stays nil, an error that
// is classified already (a refused call) stays as it is. errors.Is finds context.Canceled in what comes of a cancelled call.
func From(err error, thing string) error {
	if err == nil || errors.Is(err, jobs.ErrFenced) {
		return err
	}
	if known, ok := errors.AsType[*jobs.Error](err); ok {
		return known
	}
	e := &jobs.Error{Thing: thing, Err: err}
	name, action := "", "this call"
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		name = op.Operation()
		service := strings.ToLower(strings.ReplaceAll(op.Service(), " ", ""))
		e.Op, action = service+" "+name, strings.TrimSuffix(service, "v2")+":"+name
	}
	status := 0
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = response.HTTPStatusCode()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message = api.ErrorCode(), shorten(api.ErrorMessage())
		e.Class = ClassOf(e.Code, e.Message)
		if e.Class == jobs.Unknown && (status >= 500 || status == http.StatusTooManyRequests) {
			e.Class = jobs.Retry
		}
		e.Ambiguous = e.Class == jobs.Retry && status >= 500 && !throttles[e.Code] && mutates(name)
		e.Hint = hint(e.Code, api.ErrorMessage(), action)
		return e
	}
	return unanswered(e, err, status, name)
}

// unanswered fills in an error that carries no code of the service.
func unanswered(e *jobs.Error, err error, status int, name string) error {
	var network net.Error
	var sent *smithyhttp.RequestSendError
	switch {
	case errors.Is(err, context.Canceled):
		e.Class, e.Message, e.Ambiguous = jobs.Retry, "the call was cancelled", mutates(name)
	case errors.Is(err, context.DeadlineExceeded):
		e.Class, e.Message, e.Ambiguous = jobs.Retry, "no answer in time", mutates(name)
	case status >= 500:
		e.Class, e.Message, e.Ambiguous = jobs.Retry, fmt.Sprintf("HTTP %d without a code", status), mutates(name)
	case errors.As(err, &sent), errors.As(err, &network), status == http.StatusOK:
		e.Class, e.Message, e.Ambiguous = jobs.Retry, innermost(err), mutates(name)
	case strings.Contains(err.Error(), "retrieve credentials"), strings.Contains(err.Error(), "get identity"):
		e.Class, e.Message = jobs.Retry, innermost(err)
		e.Hint = "set AWS credentials, or give the host a role"
	default:
		e.Message = innermost(err)
	}
	return e
}

// ClassOf is the class of a code. The message decides only where AWS uses one code for two things.
func ClassOf(code, message string) jobs.Class {
	if code == "InvalidParameterValue" && strings.Contains(message, "Invalid IAM Instance Profile") {
		return jobs.Propagating
	}
	// StateReason's codes carry who is to blame in front.
	code = strings.TrimPrefix(strings.TrimPrefix(code, "Server."), "Client.")
	if class, ok := classes[code]; ok {
		return class
	}
	switch {
	case strings.HasPrefix(code, "InvalidParameter"):
		return jobs.Fatal
	case strings.HasSuffix(code, "NotFound"), strings.HasSuffix(code, "NotFoundException"):
		return jobs.NotFound
	}
	return jobs.Unknown
}

// IsCode reports whether err came with one of the codes.
func IsCode(err error, codes ...string) bool {
	code := ""
	if e, ok := errors.AsType[*jobs.Error](err); ok {
		code = e.Code
	} else if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	for _, c := range codes {
		if c == code && code != "" {
			return true
		}
	}
	return false
}

// IsAboutOne reports whether the error is about one of the things that a call names, so that the call succeeds without it.
func IsAboutOne(err error) bool { return IsCode(err, OneOfManyCodes...) }

// IsThrottle reports whether err says that a bucket is empty.
func IsThrottle(err error) bool {
	e, ok := errors.AsType[*jobs.Error](err)
	return ok && throttles[e.Code]
}

// Mixed is the class of a list of codes that one call gave for several pools. A throttle in it makes it a throttle only if
// all the others belong to single pools (aws-facts, after "Errors by what to do"); what concerns all pools rules over both.
func Mixed(codes []string) jobs.Class {
	order := []jobs.Class{
		jobs.Fatal, jobs.Park, jobs.Mismatch, jobs.NewAttempt, jobs.Propagating, jobs.Busy, jobs.Unknown, jobs.Duplicate,
		jobs.NotFound, jobs.Retry, jobs.NextPool,
	}
	seen := map[jobs.Class]bool{}
	for _, code := range codes {
		seen[ClassOf(code, "")] = true
	}
	for _, class := range order {
		if seen[class] {
			return class
		}
	}
	return jobs.Unknown
}

// mutates reports whether an operation may change something. What came of no call changed nothing.
func mutates(operation string) bool {
	if operation == "" {
		return false
	}
	for _, prefix := range []string{"Describe", "Get", "List", "Query", "Scan", "BatchGet", "Head", "Receive", "TransactGet"} {
		if strings.HasPrefix(operation, prefix) {
			return false
		}
	}
	return true
}

// innermost is the message of the error at the chain's end: what happened, without the SDK's wrapping.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// encoded is the authorization failure that AWS encodes, of a thousand characters and more.
var encoded = regexp.MustCompile(`\s*Encoded authorization failure message: ?[\w+/=-]+`)

const longest = 500

// shorten leaves out what no person can read, and bounds the rest.
func shorten(message string) string {
	message = strings.TrimSpace(encoded.ReplaceAllString(message, ""))
	if len(message) > longest {
		message = strings.ToValidUTF8(message[:longest], "") + "…"
	}
	return message
}
