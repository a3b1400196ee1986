package dynamodb

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var engine = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// postTo makes a call on DynamoDB Local.
func postTo(t *testing.T, url, action, text string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810."+action)
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=key/20200101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x")
	response, err := engine.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); closeErr != nil {
		t.Fatal(closeErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// errorEssence is an error's code, reasons and items; of its words only what they say of an expression, because DynamoDB Local
// words most other faults in its own way.
func errorEssence(e map[string]any) map[string]any {
	essence := map[string]any{}
	if kind, ok := e["__type"].(string); ok {
		_, essence["code"], _ = strings.Cut(kind, "#")
	}
	if item, ok := e["Item"]; ok {
		plain(item)
		essence["item"] = item
	}
	for _, name := range []string{"message", "Message"} {
		if text, ok := e[name].(string); ok {
			essence["words"] = class(text)
		}
	}
	if reasons, ok := e["CancellationReasons"].([]any); ok {
		plain(reasons)
		for _, r := range reasons {
			delete(r.(map[string]any), "Message")
		}
		essence["reasons"] = reasons
		delete(essence, "words")
	}
	return essence
}

// class is which expression is wrong in which way, without what the request said; empty for other faults.
func class(text string) string {
	which, rest, ok := strings.Cut(text, "Expression: ")
	if !ok || !strings.HasPrefix(which, "Invalid ") {
		return ""
	}
	words, _, _ := strings.Cut(rest, ";")
	return which + "Expression: " + words
}

// same says whether two outcomes are. A fault of an expression on one side only is a matter of which fault is found first.
func same(got, want outcome) bool {
	a, isError := got.essence.(map[string]any)
	b, areBoth := want.essence.(map[string]any)
	if isError && areBoth && got.status != 200 && want.status != 200 && (a["words"] == "" || b["words"] == "") {
		delete(a, "words")
		delete(b, "words")
	}
	return got.status == want.status && reflect.DeepEqual(got.essence, want.essence)
}

// normal is a good answer without what may differ: the order of what has none.
func normal(o operation, answer map[string]any) any {
	if !billedAlike(o, answer) {
		delete(answer, "ConsumedCapacity")
	}
	plain(answer) // what is equal has to be so before it is sorted
	if items, ok := answer["Items"].([]any); ok && (o.action == "Scan" || strings.Contains(o.text, `"IndexName"`)) {
		sortByText(items)
	}
	if responses, ok := answer["Responses"].(map[string]any); ok {
		for _, items := range responses {
			sortByText(items.([]any))
		}
	}
	if responses, ok := answer["Responses"].([]any); ok && o.action == "BatchExecuteStatement" {
		for _, r := range responses {
			if e, ok := r.(map[string]any)["Error"].(map[string]any); ok {
				delete(e, "Message")
			}
		}
	}
	if all, ok := answer["ConsumedCapacity"].([]any); ok {
		sortByText(all)
	}
	return answer
}

// billedAlike says whether DynamoDB Local tells the consumed capacity as AWS documents it (developer guide, Read and write
// operations, and Global secondary indexes). It does not
//   - if nobody asked: it tells then too of what a deletion of nothing consumed, and counts that twice in batches;
//   - of reads that find nothing: "If you perform a read operation on an item that doesn't exist, DynamoDB will still consume read
//     throughput";
//   - of transactions: a transactional write of an item up to 1 KB takes two write units. It bills four;
//   - of indexes: "If the item is not present in the index before or after the item is updated, there is no additional write cost
//     for the index". It bills one unit for each index that has the hash key or the range key.
//
// Of batches of statements it tells nothing.
func billedAlike(o operation, answer map[string]any) bool {
	if o.action == "BatchExecuteStatement" {
		return false
	}
	asked := strings.Contains(o.text, `"ReturnConsumedCapacity":"TOTAL"`) || strings.Contains(o.text, `"ReturnConsumedCapacity":"INDEXES"`)
	return asked && !strings.Contains(o.text, "@main") && answer["ScannedCount"] != 0.0 && !strings.Contains(o.action, "Get") && o.action != "TransactWriteItems" && !strings.Contains(o.text, "DeleteRequest")
}

func sortByText(all []any) {
	slices.SortFunc(all, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// plain makes equal values of a decoded answer equal: sets have no order, and DynamoDB Local gives numbers as they were written
// where AWS's service trims them: "Leading and trailing zeroes are trimmed" (developer guide, Data types).
func plain(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if text, ok := inner.(string); ok && name == "N" {
				value[name] = trimmed(text)
			}
			if set, ok := inner.([]any); ok && len(name) == 2 && name[1] == 'S' {
				for i := range set {
					if text, ok := set[i].(string); ok && name == "NS" {
						set[i] = trimmed(text)
					}
				}
				sortByText(set)
			}
			plain(inner)
		}
	case []any:
		for _, inner := range value {
			plain(inner)
		}
	}
}

func trimmed(text string) string {
	n, err := ParseNumber(text)
	if err != nil {
		return text
	}
	return n.String()
}

// difference is a way in which DynamoDB Local and AWS's service are known to differ, or in which this endpoint is stricter on
// purpose.
type difference struct {
	// word is what AWS documents, with its place.
	word    string
	applies func(o operation, got, want outcome) bool
}

// listed says whether a difference is one of the known ones.
func listed(o operation, got, want outcome) bool {
	return statementsListed(o, got, want) || slices.ContainsFunc(differences, func(d difference) bool { return d.applies(o, got, want) })
}

// within says whether each attribute is in the other answer, and each part of a map in the other's map.
func within(part, whole any) bool {
	inner, ok := part.(map[string]any)
	outer, both := whole.(map[string]any)
	if !ok || !both {
		return true
	}
	for name := range inner {
		if _, ok := outer[name]; !ok || !within(inner[name], outer[name]) {
			return false
		}
	}
	return true
}

// member is a member of an error's essence.
func (o outcome) member(name string) string {
	fields, ok := o.essence.(map[string]any)
	if !ok || fields[name] == nil {
		return ""
	}
	return fmt.Sprint(fields[name])
}

// differences are all that are accepted.
var differences = []difference{{
	"Common errors: InternalFailure, status 500, is a fault of the service. DynamoDB Local has some of its own.",
	func(_ operation, _, want outcome) bool { return want.status == 500 },
}, {
	"TransactWriteItems, TransactionCanceledException: cancelled when 'there is a user error, such as an invalid data format'; its reason is " +
		"then 'Validation Error: Code: ValidationError', and the reasons are 'ordered in the order of requested items', None where there is no " +
		"fault. DynamoDB Local answers ValidationException for the whole call, or with the one reason alone or none.",
	func(_ operation, got, want outcome) bool {
		return got.member("code") == "TransactionCanceledException" && strings.Contains(got.member("reasons"), "ValidationError") &&
			(want.member("code") == "ValidationException" || want.member("code") == "TransactionCanceledException" && !strings.Contains(want.member("reasons"), "None"))
	},
}, {
	"API reference, TransactWriteItems: 'no two actions can target the same item'. DynamoDB Local looks at the conditions first.",
	func(_ operation, got, _ outcome) bool { return strings.Contains(got.text, manyActionsText) },
}, {
	"Developer guide, Data types: a key attribute is a scalar, 'string, number, or binary'. In a transaction DynamoDB Local looks for a path " +
		"into one as if it could be there.",
	func(o operation, got, _ outcome) bool {
		return o.action == "TransactWriteItems" && strings.Contains(got.text, "Key attributes must be scalars")
	},
}, {
	"API reference, Update (of TransactWriteItem): UpdateExpression, 'Required: Yes'. DynamoDB Local takes an update without one.",
	func(o operation, got, _ outcome) bool {
		return o.action == "TransactWriteItems" && strings.Contains(got.text, "updateExpression' failed to satisfy constraint: Member must not be null")
	},
}, {
	"Developer guide, Reserved words: 'SIZE'. DynamoDB Local takes it as a name.",
	func(_ operation, got, _ outcome) bool { return strings.Contains(got.text, "reserved keyword: size") },
}, {
	"API reference, AttributeValue: each member has one type, such as BOOL: 'Type: Boolean'. DynamoDB Local converts text.",
	func(_ operation, got, _ outcome) bool { return got.member("code") == "SerializationException" },
}, {
	"API reference, UpdateItem: UPDATED_OLD and UPDATED_NEW return 'only the updated attributes'. Of a nested one DynamoDB Local returns " +
		"all that is beside it too.",
	func(o operation, got, want outcome) bool {
		return strings.Contains(o.text, `"ReturnValues":"UPDATED_`) && got.status == 200 && want.status == 200 && within(got.essence, want.essence)
	},
}, {
	"API reference, Query: 'If LastEvaluatedKey is not empty, it does not necessarily mean that there is more data in the result set.' " +
		"DynamoDB Local leaves it out if the condition's last possible key was read.",
	func(o operation, got, want outcome) bool {
		if o.action != "Query" || got.status != 200 || want.status != 200 {
			return false
		}
		page, ok := got.essence.(map[string]any)
		_, more := want.essence.(map[string]any)["LastEvaluatedKey"]
		delete(page, "LastEvaluatedKey")
		return ok && !more && reflect.DeepEqual(page, want.essence)
	},
}, {
	"API reference, Query, ExclusiveStartKey: 'Use the value that was returned for LastEvaluatedKey in the previous operation.' DynamoDB Local " +
		"refuses the condition's last possible key.",
	func(_ operation, got, want outcome) bool {
		return got.status == 200 && got.member("Count") == "0" && strings.Contains(want.text, "starting key does not match the range key predicate")
	},
}, {
	"Developer guide, TransactionCanceledException: 'The update expression attempted to update the secondary index key to unsupported " +
		"type.' DynamoDB Local takes a scalar of another type.",
	func(_ operation, got, _ outcome) bool {
		return strings.Contains(got.text, "secondary index key to unsupported type")
	},
}, {
	"Of a missing table, a wrong expression and a wrong key in one call, AWS documents no order in which they are found.",
	func(o operation, got, want outcome) bool {
		codes := []string{"ValidationException", "ResourceNotFoundException", "TransactionCanceledException"}
		return (strings.Contains(o.text, "no-such-table") || o.action == "TransactGetItems") &&
			slices.Contains(codes, got.member("code")) && slices.Contains(codes, want.member("code"))
	},
}, {
	"Developer guide, Global secondary indexes: a scan of an index reads the attributes that are 'projected, or copied, from the base table " +
		"into the index'. DynamoDB Local's filter sees the whole item.",
	func(o operation, got, want outcome) bool {
		return o.action == "Scan" && got.status == 200 && want.status == 200 && strings.Contains(o.text, "FilterExpression") &&
			(strings.Contains(o.text, `"IndexName":"keys"`) || strings.Contains(o.text, `"IndexName":"some"`))
	},
}, {
	"Of several faults in one expression, AWS documents no order in which they are found.",
	func(_ operation, got, want outcome) bool {
		a, b := got.member("words"), want.member("words")
		return got.member("code") == want.member("code") && a != "" && b != "" &&
			slices.ContainsFunc([]string{"reserved keyword", "overlap", "conflict", "must be distinct", "List index", "redundant parentheses", "Internal server error"}, func(fault string) bool { return strings.Contains(a+b, fault) })
	},
}}
