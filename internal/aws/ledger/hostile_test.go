package ledger

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

func TestOneUnreadableItemIsNamedAndTheOthersAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	put := func(it item) {
		t.Helper()
		if _, err := b.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(b.table), Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"api", "dark", "web"} {
		it, err := document(fleetKey(name), own, l.Fleet{Name: name}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if name == "dark" {
			it["b"] = &types.AttributeValueMemberB{Value: []byte(`{"name":["dark"]}`)}
		}
		put(it)
		put(key(allFleets, name))
	}
	fleets, err := b.ListFleets(t.Context())
	unread, rest := jobs.Unread(err)
	if len(fleets) != 2 || rest != nil || unread == nil || !strings.Contains(unread.Error(), "fleet#dark") {
		t.Errorf("the list is %v, and %v", fleets, err)
	}
	for ordinal, document := range map[int]types.AttributeValue{
		0: &types.AttributeValueMemberB{Value: []byte(`{"ordinal":0}`)}, 1: &types.AttributeValueMemberB{Value: []byte("\x00")},
		2: &types.AttributeValueMemberS{Value: "{}"}, 3: &types.AttributeValueMemberB{Value: []byte(`{"ordinal":3}`)},
	} {
		it := key(fleetKey("web"), serverKey(ordinal))
		it["b"] = document
		put(it)
	}
	servers, err := b.Servers(t.Context(), "web")
	if len(servers) != 2 || !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), serverKey(1)) || !strings.Contains(err.Error(), serverKey(2)) {
		t.Errorf("the servers are %v, and %v: whoever plans with them must fail", servers, err)
	}
}
