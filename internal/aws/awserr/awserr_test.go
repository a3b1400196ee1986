package awserr

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stampmill/stampmill/internal/jobs"
)

// facts is the table of aws-facts "Errors by what to do (by code, before the HTTP status)", line by line.
var facts = map[jobs.Class]string{
	jobs.Retry: `RequestLimitExceeded, Throttling, ThrottlingException, InternalError, InternalFailure, ServerInternal,
		ServiceUnavailable, Unavailable, RequestTimeout, TooManyUpdates, ConcurrentTagAccess, TransactionConflict,
		TransactionConflictException, TransactionInProgressException`,
	jobs.Propagating: `InvalidInstanceID.NotFound, InvalidAMIID.NotFound, InvalidGroup.NotFound,
		InvalidLaunchTemplateName.NotFoundException, InvalidLaunchTemplateId.NotFound, InvalidAMIID.Unavailable, InvalidInstanceId,
		InvocationDoesNotExist`,
	jobs.Busy: `ResourceLimitExceeded, ConcurrentSnapshotLimitExceeded, SnapshotCreationPerVolumeRateExceeded,
		ConcurrentCreateImageNoRebootLimitExceeded, InstanceRefreshInProgress`,
	jobs.NextPool: `InsufficientInstanceCapacity, InsufficientHostCapacity, InsufficientReservedInstanceCapacity,
		InsufficientVolumeCapacity, UnfulfillableCapacity, ReservationCapacityExceeded, Unsupported, SpotMaxPriceTooLow,
		MaxSpotInstanceCountExceeded, InsufficientFreeAddressesInSubnet`,
	jobs.NewAttempt: `IdempotentInstanceTerminated`,
	jobs.Mismatch:   `IdempotentParameterMismatch`,
	jobs.Park:       `VcpuLimitExceeded, InstanceLimitExceeded, VolumeLimitExceeded, PendingVerification`,
	jobs.Fatal: `UnauthorizedOperation, AuthFailure, Blocked, OptInRequired, InvalidAMIID.Malformed, InvalidParameter,
		InvalidParameterValue, InvalidParameterCombination, InvalidParameterDependency, InvalidUserData.Malformed`,
}

// answered is an error as the SDK gives it.
func answered(operation, code, message string, status int) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: operation, Err: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err:      &smithy.GenericAPIError{Code: code, Message: message},
	}}
}

func TestEveryCodeOfTheFactsHasItsClassWhateverTheStatus(t *testing.T) {
	t.Parallel()
	for class, codes := range facts {
		for code := range strings.SplitSeq(codes, ",") {
			code = strings.TrimSpace(code)
			for _, status := range []int{400, 500, 503} {
				if got := jobs.ClassOf(From(answered("RunInstances", code, "some words", status), "i-1")); got != class {
					t.Errorf("%s with HTTP %d is of class %q, expected %q", code, status, got, class)
				}
			}
		}
	}
}

func TestAnErrorTellsWhetherTheCallMayHaveTakenEffect(t *testing.T) {
	t.Parallel()
	lost := func(operation string, err error) error {
		return &smithy.OperationError{ServiceID: "EC2", OperationName: operation, Err: err}
	}
	for name, c := range map[string]struct {
		err       error
		class     jobs.Class
		ambiguous bool
	}{
		"an unknown 5xx of a change":      {answered("CreateImage", "Strange", "", 502), jobs.Retry, true},
		"an unknown 5xx of a look":        {answered("DescribeImages", "Strange", "", 502), jobs.Retry, false},
		"an internal error of a change":   {answered("RunInstances", "InternalError", "", 500), jobs.Retry, true},
		"a throttle":                      {answered("RunInstances", "RequestLimitExceeded", "", 503), jobs.Retry, false},
		"no capacity, which is HTTP 500":  {answered("RunInstances", "InsufficientInstanceCapacity", "", 500), jobs.NextPool, false},
		"an unknown 4xx":                  {answered("RunInstances", "Strange", "", 400), jobs.Unknown, false},
		"an unknown NotFound":             {answered("DeleteSnapshot", "InvalidThing.NotFound", "", 400), jobs.NotFound, false},
		"a name that is there":            {answered("CreateImage", "InvalidAMIName.Duplicate", "", 400), jobs.Duplicate, false},
		"no answer in time to a change":   {lost("CreateImage", context.DeadlineExceeded), jobs.Retry, true},
		"no answer in time to a look":     {lost("DescribeImages", context.DeadlineExceeded), jobs.Retry, false},
		"a lost connection in a change":   {lost("CreateImage", &smithyhttp.RequestSendError{Err: errors.New("connection reset")}), jobs.Retry, true},
		"a cancelled change":              {lost("CreateImage", context.Canceled), jobs.Retry, true},
		"a profile that has not spread":   {answered("RunInstances", "InvalidParameterValue", "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", 400), jobs.Propagating, false},
		"a request refused for its lease": {lost("RunInstances", &jobs.Error{Class: jobs.Retry, Message: "the lease"}), jobs.Retry, false},
	} {
		err := From(c.err, "thing")
		if jobs.ClassOf(err) != c.class || jobs.IsAmbiguous(err) != c.ambiguous {
			t.Errorf("%s: class %q, ambiguous %v; expected %q, %v", name, jobs.ClassOf(err), jobs.IsAmbiguous(err), c.class, c.ambiguous)
		}
	}
}

func TestACancelledCallIsRecognised(t *testing.T) {
	t.Parallel()
	err := From(&smithy.OperationError{ServiceID: "EC2", OperationName: "StopInstances", Err: &smithy.CanceledError{Err: context.Canceled}}, "i-1")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not tell that its context was cancelled", err)
	}
	if From(nil, "i-1") != nil {
		t.Error("no error became one")
	}
	if !errors.Is(From(jobs.ErrFenced, ""), jobs.ErrFenced) {
		t.Error("a fenced write is not recognised any more")
	}
}

func TestAThrottleInAMixedListIsOneOnlyAmongPoolErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		codes []string
		class jobs.Class
	}{
		{[]string{"InsufficientInstanceCapacity", "UnfulfillableCapacity"}, jobs.NextPool},
		{[]string{"InsufficientInstanceCapacity", "RequestLimitExceeded"}, jobs.Retry},
		{[]string{"RequestLimitExceeded", "VcpuLimitExceeded", "Unsupported"}, jobs.Park},
		{[]string{"RequestLimitExceeded", "UnauthorizedOperation"}, jobs.Fatal},
		{[]string{"RequestLimitExceeded", "NobodyKnows"}, jobs.Unknown},
		{nil, jobs.Unknown},
	} {
		if got := Mixed(c.codes); got != c.class {
			t.Errorf("%v is of class %q, expected %q", c.codes, got, c.class)
		}
	}
}

func TestAnErrorTellsAPersonWhatToDo(t *testing.T) {
	t.Parallel()
	long := "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/w/x is not authorized to perform: " +
		"ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:1:instance/* because no identity-based policy allows the action. " +
		"Encoded authorization failure message: " + strings.Repeat("aB-_9", 400)
	for _, c := range []struct{ operation, code, message, says string }{
		{"RunInstances", "UnauthorizedOperation", long, "must allow ec2:RunInstances"},
		{"CreateImage", "UnauthorizedOperation", "You are not authorized to perform this operation.", "must allow ec2:CreateImage"},
		{"RunInstances", "VcpuLimitExceeded", "You have requested more vCPU capacity", "Running On-Demand Standard"},
		{"RunInstances", "OptInRequired", "In order to use this AWS Marketplace product", "Marketplace"},
	} {
		said := From(answered(c.operation, c.code, c.message, 403), "t3.small").Error()
		if !strings.Contains(said, c.says) || !strings.Contains(said, "ec2 "+c.operation) || !strings.Contains(said, "t3.small") {
			t.Errorf("%q names not the operation, the thing and %q", said, c.says)
		}
		if len(said) > 700 || strings.Contains(said, "Encoded") {
			t.Errorf("%d characters: nobody reads %q", len(said), said)
		}
	}
}

func TestATemplatesNetworkInterfacesAreNamedAsTheCause(t *testing.T) {
	t.Parallel()
	const message = "Network interfaces and an instance-level subnet ID may not be specified on the same request"
	if got := hint("InvalidParameterCombination", message, ""); !strings.Contains(got, "launch template") {
		t.Errorf("the hint is %q", got)
	}
}
