package dynamodb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// statementOf is one element of Statements: the text, and the parameters in DynamoDB's JSON.
func statementOf(text string, parameters ...string) string {
	members := fmt.Sprintf(`"Statement":%q,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`, text)
	if len(parameters) > 0 {
		members += `,"Parameters":[` + strings.Join(parameters, ",") + `]`
	}
	return "{" + members + "}"
}

func batchOf(statements ...string) string {
	return `{"Statements":[` + strings.Join(statements, ",") + `]}`
}

func TestEachStatementOfABatchSucceedsOrFailsAlone(t *testing.T) {
	t.Parallel()
	s := tab(t)
	const done = `{"TableName":"tab"}`
	refused := func(code, message, item string) string {
		if item != "" {
			item = `,"Item":` + item
		}
		return `{"Error":{"Code":"` + code + `","Message":"` + message + `"` + item + `},"TableName":"tab"}`
	}
	item := `{"n":{"N":"2"},"pk":{"S":"a"},"sk":{"N":"1"}}`
	for _, batch := range []struct {
		what       string
		statements []string
		want       []string
	}{{
		"inserts", []string{
			statementOf(`INSERT INTO "tab" VALUE {'pk': ?, 'sk': ?, 'n': ?}`, `{"S":"a"}`, `{"N":"1"}`, `{"N":"1"}`),
			statementOf(`insert into tab value {'pk': 'it''s', 'sk': -1.5e1, 'yes': true, 'none': null};`),
		}, []string{done, done},
	}, {
		"an insert of what is there, beside a good one", []string{
			statementOf(`INSERT INTO tab VALUE {'pk': ?, 'sk': ?}`, `{"S":"a"}`, `{"N":"1"}`),
			statementOf(`INSERT INTO tab VALUE {'pk': ?, 'sk': ?}`, `{"S":"b"}`, `{"N":"1"}`),
		}, []string{refused("DuplicateItem", "Duplicate primary key exists in table", ""), done},
	}, {
		"an update whose condition holds", []string{
			statementOf(`UPDATE tab SET n=? REMOVE gone WHERE pk=? AND sk=? AND n=? AND cancel IS MISSING`, `{"N":"2"}`, `{"S":"a"}`, `{"N":"1"}`, `{"N":"1"}`),
		}, []string{done},
	}, {
		"updates whose conditions fail", []string{
			statementOf(`UPDATE tab SET n=? WHERE pk=? AND sk=? AND n=?`, `{"N":"9"}`, `{"S":"a"}`, `{"N":"1"}`, `{"N":"1"}`),
			statementOf(`UPDATE tab SET n=? WHERE pk=? AND sk=?`, `{"N":"9"}`, `{"S":"nobody"}`, `{"N":"1"}`),
		}, []string{refused("ConditionalCheckFailed", "The conditional request failed", item), refused("ConditionalCheckFailed", "The conditional request failed", "")},
	}, {
		"an update of the key", []string{statementOf(`UPDATE tab SET sk=2 WHERE pk='a' AND sk=1`)},
		[]string{refused("ValidationError", "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key", "")},
	}, {
		"an update without the whole key, and one of a table that is not there", []string{
			statementOf(`UPDATE tab SET n=1 WHERE pk='a' AND (sk=1 OR sk=2)`), statementOf(`UPDATE "no-such" SET n=1 WHERE pk='a'`),
		}, []string{
			`{"Error":{"Code":"ValidationError","Message":"Where clause does not contain a mandatory equality on all key attributes"}}`,
			`{"Error":{"Code":"ResourceNotFound","Message":"Requested resource not found"}}`,
		},
	}} {
		want := `{"Responses":[` + strings.Join(batch.want, ",") + `]}`
		if got := must(t, s, "BatchExecuteStatement", batchOf(batch.statements...)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", batch.what, got, want)
		}
	}
	if got := must(t, s, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"a"},"sk":{"N":"1"}}}`); got != `{"Item":`+item+`}` {
		t.Errorf("the item is %s, want %s", got, item)
	}
	if got := must(t, s, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"it's"},"sk":{"N":"-15"}}}`); got != `{"Item":{"none":{"NULL":true},"pk":{"S":"it's"},"sk":{"N":"-15"},"yes":{"BOOL":true}}}` {
		t.Errorf("the item of literals is %s", got)
	}
}

func TestABatchThatCannotBeRunIsRefusedWhole(t *testing.T) {
	t.Parallel()
	s := tab(t)
	insert := statementOf(`INSERT INTO tab VALUE {'pk': 'a', 'sk': 1}`)
	for what, c := range map[string]struct{ body, want string }{
		"no statements":        {`{}`, "Member must not be null"},
		"none":                 {batchOf(), "length greater than or equal to 1"},
		"26":                   {batchOf(strings.Split(strings.Repeat(insert+"\n", 26), "\n")[:26]...), "length less than or equal to 25"},
		"no text":              {batchOf(`{}`), "statements.1.member.statement"},
		"an empty text":        {batchOf(insert, statementOf("")), "statements.2.member.statement"},
		"a long text":          {batchOf(statementOf(strings.Repeat("x", 8193))), "less than or equal to 8192"},
		"an empty list":        {batchOf(`{"Statement":"x","Parameters":[]}`), "statements.1.member.parameters"},
		"one item twice":       {batchOf(insert, statementOf(`UPDATE tab SET n=1 WHERE pk='a' AND sk=1.0`)), "Provided list of item keys contains duplicates"},
		"reads beside writes":  {batchOf(insert, statementOf(`SELECT pk FROM tab WHERE pk='a' AND sk=2`)), "Read and write requests together in the same batch is not supported."},
		"a bad parameter":      {batchOf(insert, statementOf(`INSERT INTO tab VALUE {'pk': ?}`, `{"N":"x"}`)), "cannot be converted"},
		"an unknown member":    {`{"Statements":[` + insert + `],"NextToken":"x"}`, "NextToken"},
		"an unknown choice":    {batchOf(`{"Statement":"x","ReturnValuesOnConditionCheckFailure":"ALL_NEW"}`), "enum value set"},
		"an unknown parameter": {batchOf(`{"Statement":"x","Limit":1}`), "Limit"},
	} {
		status, answer := post(s, "BatchExecuteStatement", c.body)
		if status != 400 || !strings.Contains(answer, c.want) || !strings.Contains(answer, "ValidationException") {
			t.Errorf("%s: got %d %s, want %s", what, status, answer, c.want)
		}
	}
	if got := must(t, s, "Scan", `{"TableName":"tab"}`); got != `{"Items":[],"Count":0,"ScannedCount":0}` {
		t.Errorf("refused batches left %s", got)
	}
}

func TestAStatementThatIsNotUnderstoodSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	const malformed = "Statement wasn't well formed, can't be processed: "
	for text, want := range map[string]string{
		``:                                  malformed + "expected INSERT or UPDATE, not the end at 1:1",
		`MERGE tab`:                         malformed + `expected INSERT or UPDATE, not "MERGE" at 1:1`,
		`DELETE FROM tab WHERE pk='a'`:      malformed + "this endpoint does not serve DELETE, only INSERT and UPDATE at 1:1",
		`UPDATE tab SET x WHERE pk='a'`:     malformed + `expected =, not "WHERE" at 1:18`,
		"UPDATE tab\n  SET x=1\n  WHEE y=1": malformed + `expected SET, REMOVE or WHERE, not "WHEE" at 3:3`,
		`UPDATE tab SET x=1`:                malformed + "expected SET, REMOVE or WHERE, not the end at 1:19",
		`UPDATE tab WHERE pk='a'`:           malformed + `expected SET or REMOVE, not "WHERE" at 1:12`,
		`UPDATE tab SET x=1 REMOVE a, b WHERE pk='a'`:                   malformed + `expected another REMOVE or WHERE, not "," at 1:28`,
		`UPDATE tab SET value=1 WHERE pk='a'`:                           malformed + "expected an attribute's name, not the keyword value: put a name that is one in double quotes at 1:16",
		`UPDATE tab SET x='a WHERE pk=1`:                                malformed + "expected the closing ', not the statement's end at 1:18",
		`UPDATE tab SET x=1 WHERE pk='a' AND size(x)>1`:                 malformed + "this endpoint does not serve functions at 1:37",
		`UPDATE tab SET x=list_append(x, ?) WHERE pk='a'`:               malformed + "this endpoint does not serve functions at 1:29",
		`UPDATE tab SET x=[1] WHERE pk='a'`:                             malformed + "this endpoint does not serve lists, maps and sets as literals: give a parameter at 1:18",
		`UPDATE tab SET x=1 WHERE pk IN ('a')`:                          malformed + "this endpoint does not serve IN and BETWEEN at 1:29",
		`UPDATE tab SET x=1 WHERE pk='a' AND x`:                         malformed + "expected a comparison (=, <>, <, <=, >, >=) or IS MISSING, not the end at 1:38",
		`UPDATE tab SET x=1 WHERE pk='a' AND x IS NULL`:                 malformed + `expected MISSING, not "NULL" at 1:42`,
		`UPDATE tab SET x=1 WHERE (pk='a'`:                              malformed + "expected ), not the end at 1:33",
		`UPDATE tab SET x=1 WHERE pk='a' # `:                            malformed + "the character '#' has no meaning here at 1:33",
		`UPDATE tab SET x=1 SET x=2 WHERE pk='a'`:                       "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x]",
		`UPDATE "tab"."gsi" SET x=1 WHERE pk='a'`:                       "This operation is not supported on an index",
		`INSERT INTO tab VALUES {'pk': 'a'}`:                            malformed + `expected VALUE, not "VALUES" at 1:17`,
		`INSERT INTO tab VALUE {pk: 'a'}`:                               malformed + `expected an attribute's name in single quotes, not "pk" at 1:24`,
		`INSERT INTO tab VALUE {'pk': 'a', 'pk': 'b'}`:                  malformed + "the attribute pk is given twice at 1:35",
		`INSERT INTO tab VALUE {'pk': 'a',}`:                            malformed + `expected an attribute's name in single quotes, not "}" at 1:34`,
		`INSERT INTO tab VALUE {'pk': 1e200}`:                           malformed + "1e200 is no number that DynamoDB can hold at 1:30",
		`INSERT INTO tab VALUE {'pk': 'a'} ON CONFLICT`:                 malformed + `expected the end, not "ON" at 1:35`,
		`INSERT INTO tab VALUE ?`:                                       malformed + `expected {, not "?" at 1:23`,
		"UPDATE tab SET x=1 WHERE NOT (" + strings.Repeat("NOT (", 400): malformed + "the condition is nested more than 300 levels deep at 1:780",
	} {
		_, err := parseStatement(text)
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", short(text), err, want)
		}
	}
}

func TestStatementsAreBilledAsTheirSingleWrites(t *testing.T) {
	t.Parallel()
	s := tab(t)
	for _, c := range []struct {
		what, statement string
		want            Units
	}{
		{"a new item of 2.5 KB", statementOf(`INSERT INTO tab VALUE {'pk':'a','sk':1,'v':?}`, `{"S":"`+strings.Repeat("x", 2500)+`"}`), Units{TableWrites: 3}},
		{"an item that is there already", statementOf(`INSERT INTO tab VALUE {'pk':'a','sk':1}`), Units{TableWrites: 3}},
		{"an item that enters an index", statementOf(`UPDATE tab SET gh='x' SET gr=1 REMOVE v WHERE pk='a' AND sk=1`), Units{TableWrites: 3, IndexWrites: 1}},
		{"an index key that changes", statementOf(`UPDATE tab SET gr=2 WHERE pk='a' AND sk=1`), Units{TableWrites: 1, IndexWrites: 2}},
		{"a condition that fails", statementOf(`UPDATE tab SET gr=3 WHERE pk='a' AND sk=1 AND gr=7`), Units{TableWrites: 1}},
		{"no item", statementOf(`UPDATE tab SET gr=3 WHERE pk='b' AND sk=1`), Units{TableWrites: 1}},
		{"no whole key", statementOf(`UPDATE tab SET gr=3 WHERE pk='a'`), Units{}},
	} {
		s.ResetUnits()
		must(t, s, "BatchExecuteStatement", batchOf(c.statement))
		if got := s.Units(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.what, got, c.want)
		}
	}
	got := must(t, s, "BatchExecuteStatement", `{"ReturnConsumedCapacity":"INDEXES","Statements":[`+statementOf(`UPDATE tab SET gr=4 WHERE pk='a' AND sk=1`)+`,`+
		statementOf(`UPDATE nope SET x=1 WHERE pk='a'`)+`,`+statementOf(`INSERT INTO tab VALUE {'pk':'z','sk':1}`)+`]}`)
	want := `"ConsumedCapacity":[{"CapacityUnits":3,"GlobalSecondaryIndexes":{"gsi":{"CapacityUnits":2}},"Table":{"CapacityUnits":1},"TableName":"tab"},` +
		`{"CapacityUnits":1,"Table":{"CapacityUnits":1},"TableName":"tab"}]}`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want at its end %s", got, want)
	}
}

func TestTheSDKReadsWhatABatchOfStatementsAnswers(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	put(t, client, with(keyOf("a", 1), attributes{"seq": num(7)}))
	out, err := client.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		Statements: []types.BatchStatementRequest{{
			Statement:  aws.String(`UPDATE "tab" SET seq=? WHERE pk=? AND sk=? AND seq=?`),
			Parameters: []types.AttributeValue{num(8), str("a"), num(1), num(6)}, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}, {
			Statement:  aws.String(`INSERT INTO "tab" VALUE {'pk': ?, 'sk': ?, 'b': ?, 'ss': ?}`),
			Parameters: []types.AttributeValue{str("b"), num(1), &types.AttributeValueMemberB{Value: []byte{1}}, &types.AttributeValueMemberSS{Value: []string{"x"}}},
		}},
	})
	if err != nil || len(out.Responses) != 2 || len(out.ConsumedCapacity) != 2 {
		t.Fatalf("got %+v, %v", out, err)
	}
	if e := out.Responses[0].Error; e == nil || e.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed || fmt.Sprint(e.Item["seq"]) != fmt.Sprint(num(7)) {
		t.Errorf("the failed statement answers %+v", e)
	}
	if r := out.Responses[1]; r.Error != nil || aws.ToString(r.TableName) != "tab" {
		t.Errorf("the good statement answers %+v", r)
	}
}
