package api

import (
	"net/url"
	"reflect"
	"testing"
)

type queryInput struct {
	ImageID   string   `query:"ImageId"`
	MaxCount  *int32   `query:"MaxCount"`
	DryRun    bool     `query:"DryRun"`
	IDs       []string `query:"InstanceId"`
	UserData  []byte   `query:"UserData"`
	Placement struct {
		Zone string `query:"AvailabilityZone"`
	} `query:"Placement"`
	Filters []struct {
		Name   string   `query:"Name"`
		Values []string `query:"Value"`
	} `query:"Filter"`
	Arns []string `query:"TargetGroupArns.member"`
}

func TestQueryParametersFillTheFieldsThatTheyName(t *testing.T) {
	t.Parallel()
	form, err := url.ParseQuery("Action=A&Version=1&ImageId=ami-1&MaxCount=3&DryRun=true&InstanceId.2=b&InstanceId.1=a&InstanceId.10=c" +
		"&UserData=aGk%3D&Placement.AvailabilityZone=z&Filter.1.Name=n&Filter.1.Value.1=x&Filter.1.Value.2=y&TargetGroupArns.member.1=q")
	if err != nil {
		t.Fatal(err)
	}
	var got queryInput
	if err := DecodeQuery(form, &got); err != nil {
		t.Fatal(err)
	}
	if got.ImageID != "ami-1" || *got.MaxCount != 3 || !got.DryRun || string(got.UserData) != "hi" || got.Placement.Zone != "z" ||
		!reflect.DeepEqual(got.IDs, []string{"a", "b", "c"}) || !reflect.DeepEqual(got.Arns, []string{"q"}) ||
		len(got.Filters) != 1 || !reflect.DeepEqual(got.Filters[0].Values, []string{"x", "y"}) {
		t.Fatalf("got %+v", got)
	}
}

func TestQueryParametersThatNoFieldNamesAreRefused(t *testing.T) {
	t.Parallel()
	for query, code := range map[string]string{
		"ImageID=ami-1":               "UnknownParameter",
		"Filter.1.Nam=x":              "UnknownParameter",
		"Placement.Tenancy=dedicated": "UnknownParameter",
		"TargetGroupArns.1=q":         "UnknownParameter",
		"MaxCount=many":               "InvalidParameterValue",
		"DryRun=yes":                  "InvalidParameterValue",
		"InstanceId.0=a":              "InvalidParameterValue",
		"UserData=%25%25":             "InvalidParameterValue",
		"ImageId=a&ImageId=b":         "InvalidParameterValue",
	} {
		form, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		err = DecodeQuery(form, &queryInput{})
		if err == nil || AsError(err).Code != code {
			t.Errorf("%s: got %v, want %s", query, err, code)
		}
	}
}

func TestJSONMembersThatTheCallDoesNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]string{
		`{"Name":"a","Nme":"b"}`: "ValidationException",
		`{"Name":3}`:             "SerializationException",
		`{"Name":"a"} {}`:        "SerializationException",
		`{"Name":`:               "SerializationException",
	} {
		var input struct{ Name string }
		err := DecodeJSON([]byte(body), &input)
		if err == nil || AsError(err).Code != code {
			t.Errorf("%s: got %v, want %s", body, err, code)
		}
	}
}

func TestRandomnessDependsOnSeedIdentityAndTurnOnly(t *testing.T) {
	t.Parallel()
	first, second := &Env{Seed: 7}, &Env{Seed: 7}
	a := UUID(first.Rand("ec2", "RunInstances", "token"))
	second.Rand("ec2", "RunInstances", "another")
	if b := UUID(second.Rand("ec2", "RunInstances", "token")); a != b {
		t.Fatalf("the same call got %s and %s", a, b)
	}
	if b := UUID(second.Rand("ec2", "RunInstances", "token")); a == b {
		t.Fatal("the second turn of an identity repeats its first")
	}
	for name, other := range map[string]*Env{"seed": {Seed: 8}, "epoch": {Seed: 7, Epoch: 1}} {
		if b := UUID(other.Rand("ec2", "RunInstances", "token")); a == b {
			t.Fatalf("another %s gives the same id", name)
		}
	}
}
