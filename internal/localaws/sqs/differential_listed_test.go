package sqs

import (
	"fmt"
	"slices"
	"strings"
)

// difference is a way in which ElasticMQ is known not to be as SQS: a call, and the outcomes here and there, by parts of them.
type difference struct {
	call, got, want string
	// word is what AWS documents (Amazon SQS API reference, the call's page if no other is named).
	word string
}

// listed says whether a difference is one of the known ones.
func listed(told string, got, want any) bool {
	return slices.ContainsFunc(differences, func(d difference) bool {
		return strings.Contains(told, d.call) && strings.Contains(fmt.Sprint(got), d.got) && strings.Contains(fmt.Sprint(want), d.want)
	})
}

// refusedHereOnly says whether only ElasticMQ carried the call out.
func refusedHereOnly(got, want any) bool {
	return strings.HasPrefix(fmt.Sprint(got), "400 ") && !strings.HasPrefix(fmt.Sprint(want), "400 ")
}

// differences are all that are accepted.
var differences = []difference{
	{"", "400 InvalidParameterValueException", "400 InvalidParameterValue", "the model's name of the error; its code in the older protocol is InvalidParameterValue"},
	{"", "400 InvalidParameterValueException", "400 InvalidAttributeValue", "Common errors: 'InvalidParameterValue: An invalid or out-of-range value was supplied for the input parameter.'"},
	{"SendMessage", "400 MissingRequiredParameterException", "400 InvalidAttributeValue", "MessageBody: 'The minimum size is one character.' Common errors: 'MissingParameter'"},
	{"SendMessage", "400 InvalidMessageContents", "400 InvalidAttributeValue", "'InvalidMessageContents: The message contains characters outside the allowed set.'"},
	{"SendMessageBatch", "400 EmptyBatchRequest", "", "'EmptyBatchRequest: The batch request doesn't contain any entries.'"},
	{"SendMessageBatch", "400 TooManyEntriesInBatchRequest", "400 BatchEntryIdsNotDistinct", "both are documented, in no order"},
	{"GetQueueAttributes", "400 InvalidAttributeName", "", "'InvalidAttributeName: The specified attribute doesn't exist.'"},
	{"SetQueueAttributes", "400 InvalidAttributeValue", "", "VisibilityTimeout: 'Valid values: An integer from 0 to 43,200'"},
	{"DeleteMessage", "", "400 ReceiptHandleIsInvalid", "as for a batch"},
	{"ChangeMessageVisibility", "400 InvalidParameterValueException", "400 ReceiptHandleIsInvalid", "of a deleted message the service says 'Reason: Message does not exist or is not available for visibility timeout change.'"},
	{"ChangeMessageVisibility", "400 MessageNotInflight", "", "'MessageNotInflight: The specified message isn't in flight.'"},
	{"-none", "400 ", "400 QueueDoesNotExist", "of two faults, AWS documents no order in which they are found"},
	{"DeleteMessageBatch", "Successful", "ReceiptHandleIsInvalid true", "DeleteMessage: 'you must provide the most recently received ReceiptHandle for the message (otherwise, the request succeeds, but the message will not be deleted)'"},
	{"MessageAttributeNames:[trace.*]", "trace.id", "attributes=<nil>", "ReceiveMessage: 'You can also use all message attributes starting with a prefix, for example bar.*.'"},
}
