package localaws

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// ask sends a call of a JSON protocol as an SDK would, and decodes its answer.
func ask(t *testing.T, server *Server, target, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, server.URL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", target)
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&decoded); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, decoded
}

func TestASecretKeepsItsCurrentAndItsPreviousValue(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	secret := func(action, body string) map[string]any {
		t.Helper()
		_, answer := ask(t, server, "secretsmanager."+action, body)
		return answer
	}
	arn, _ := secret("CreateSecret", `{"Name":"db/password","SecretString":"one"}`)["ARN"].(string)
	for _, value := range []string{"two", "three"} {
		if answer := secret("PutSecretValue", `{"SecretId":"db/password","SecretString":"`+value+`"}`); answer["VersionId"] == nil {
			t.Fatal(answer)
		}
	}
	for _, c := range []struct{ body, member, want string }{
		{`{"SecretId":"db/password"}`, "SecretString", "three"},
		{`{"SecretId":"` + arn + `","VersionStage":"AWSPREVIOUS"}`, "SecretString", "two"},
		{`{"SecretId":"none"}`, "__type", "ResourceNotFoundException"},
		{`{"SecretId":"db/password","VersionID2":"x"}`, "__type", "ValidationException"},
	} {
		if got := secret("GetSecretValue", c.body)[c.member]; got != c.want {
			t.Errorf("%s: %s is %v, want %s", c.body, c.member, got, c.want)
		}
	}
	if got := secret("CreateSecret", `{"Name":"db/password"}`)["__type"]; got != "ResourceExistsException" {
		t.Errorf("a second secret of one name: %v", got)
	}
	secret("DeleteSecret", `{"SecretId":"db/password"}`)
	if got := secret("GetSecretValue", `{"SecretId":"db/password"}`)["__type"]; got != "InvalidRequestException" {
		t.Errorf("a secret marked for deletion: %v", got)
	}
	if secret("DescribeSecret", `{"SecretId":"db/password"}`)["DeletedDate"] == nil {
		t.Error("a secret marked for deletion does not say when it goes")
	}
}

func TestUnknownServicesAndActionsAreNamed(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	for target, want := range map[string]string{
		"AmazonSQS.Nonsense": "com.amazonaws.sqs#UnknownOperationException", "secretsmanager.Nonsense": "UnknownOperationException", "Kinesis_20131202.ListStreams": "UnknownService",
	} {
		if status, answer := ask(t, server, target, `{}`); answer["__type"] != want || status/100 != 4 {
			t.Errorf("%s: %d %v, want %s", target, status, answer, want)
		}
	}
}
