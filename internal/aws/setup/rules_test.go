package setup

import (
	"encoding/json"
	"testing"
)

func TestOurStatementIsAddedToTheQueuesPolicyOnceAndOthersStay(t *testing.T) {
	t.Parallel()
	const other = `{"Sid":"Others","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sqs:SendMessage","Resource":"*"}`
	for name, c := range map[string]struct {
		policy     string
		statements int
	}{
		"no policy":               {"", 1},
		"another's statement":     {`{"Version":"2012-10-17","Id":"theirs","Statement":[` + other + `]}`, 2},
		"one statement, no list":  {`{"Statement":` + other + `}`, 2},
		"ours, of other rules":    {`{"Statement":[{"Sid":"StampmillEvents","Effect":"Allow"},` + other + `]}`, 2},
		"only ours, and no list":  {`{"Statement":{"Sid":"StampmillEvents","Effect":"Allow"}}`, 1},
		"a document with nothing": {`{}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			once, err := admitting(c.policy, "arn:aws:sqs:eu-west-1:111122223333:stampmill-wake", []string{"arn:rule"})
			if err != nil {
				t.Fatal(err)
			}
			twice, err := admitting(once, "arn:aws:sqs:eu-west-1:111122223333:stampmill-wake", []string{"arn:rule"})
			if err != nil || once != twice {
				t.Errorf("made again it is another: %s\n%s (%v)", once, twice, err)
			}
			var document struct{ Statement []struct{ Sid string } }
			if err := json.Unmarshal([]byte(once), &document); err != nil {
				t.Fatal(err)
			}
			if len(document.Statement) != c.statements || document.Statement[0].Sid != statement {
				t.Errorf("the policy is %s, want %d statements, ours first", once, c.statements)
			}
		})
	}
	if _, err := admitting("{", "arn", nil); err == nil {
		t.Error("a policy that is no JSON is replaced")
	}
}
