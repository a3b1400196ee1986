package estate

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/aws/ec2"
	"github.com/stampmill/stampmill/internal/aws/ledger"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws"
)

// world is the embedded endpoint in virtual time, with the adapters on it.
type world struct {
	t      *testing.T
	region *ec2.Region
	ledger *ledger.Ledger
	estate *Estate
	guard  jobs.Guard
	ami    string
}

func start(t *testing.T) *world {
	t.Helper()
	server, err := localaws.New(localaws.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	cs, err := clients.New(clients.Config{
		Region: "us-east-1", Endpoint: server.URL(), Transport: server.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	service := ec2.New(cs, nil)
	w := &world{t: t, region: service.For(jobs.Target{}), ledger: ledger.New(cs, "sm")}
	w.estate = New(service, w.ledger, "ours")
	w.tables(cs.For(jobs.Target{}).DynamoDB)
	image, ok, err := w.region.NewestImage(t.Context(), "amazon", "al2023-ami-*", "x86_64")
	if err != nil || !ok {
		t.Fatal("no Amazon Linux image", err)
	}
	w.ami = image.ID
	return w
}

func (w *world) tables(client *dynamodb.Client) {
	w.t.Helper()
	w.guard = jobs.Guard{Job: "bake-1", Incarnation: "inc", Fence: 1}
	for name, keys := range map[string][]string{"sm-jobs": {"id"}, "sm-ledger": {"pk", "sk"}} {
		in := &dynamodb.CreateTableInput{TableName: aws.String(name), BillingMode: types.BillingModePayPerRequest}
		for i, key := range keys {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(key), AttributeType: types.ScalarAttributeTypeS})
			in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String(key), KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
		}
		if _, err := client.CreateTable(w.t.Context(), in); err != nil {
			w.t.Fatal(err)
		}
	}
	time.Sleep(time.Minute)
	_, err := client.PutItem(w.t.Context(), &dynamodb.PutItemInput{TableName: aws.String("sm-jobs"), Item: map[string]types.AttributeValue{
		"id": &types.AttributeValueMemberS{Value: w.guard.Job}, "inc": &types.AttributeValueMemberS{Value: "inc"},
		"state": &types.AttributeValueMemberS{Value: "open"}, "fence": &types.AttributeValueMemberN{Value: "1"},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) launch(token, installation string, count int) []c.Instance {
	w.t.Helper()
	tags := map[string]string{jobs.TagInstallation: installation, jobs.TagJob: "bake-1", jobs.TagIncarnation: "inc"}
	got, err := w.region.Launch(w.t.Context(), c.LaunchRequest{Token: token, ImageID: w.ami, Type: "t3.small", Min: count, Max: count, InstanceTags: tags})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func ids(things []jobs.Thing, kind string) []string {
	var list []string
	for _, thing := range things {
		if thing.Kind == kind {
			list = append(list, thing.ID)
		}
	}
	slices.Sort(list)
	return list
}

func TestAClientTokenMakesOneLaunch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		first, again := w.launch("token", "ours", 3), w.launch("token", "ours", 3)
		time.Sleep(time.Minute)
		all, err := w.region.InstancesByToken(t.Context(), "token")
		if err != nil || len(all) != 3 || len(again) != 3 || first[0].ID == first[1].ID {
			t.Errorf("%d instances, %v", len(all), err)
		}
	})
}

func TestTheEstateIsWhatCarriesOurTagAndWhatTheLedgerNamesStaysNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		ctx := t.Context()
		orphan, held := w.launch("inc-a", "ours", 1)[0], w.launch("inc-b", "ours", 1)[0]
		w.launch("inc-c", "theirs", 1)
		w.launch("launched more like this", "ours", 1)
		time.Sleep(2 * time.Minute)
		tags := map[string]string{jobs.TagInstallation: "ours", jobs.TagThing: "image"}
		ami, err := w.region.Capture(ctx, c.CaptureRequest{InstanceID: held.ID, Name: "web-1", NoReboot: true, ImageTags: tags, SnapshotTags: tags})
		if err != nil {
			t.Fatal(err)
		}
		copied := map[string]string{jobs.TagInstallation: "ours", jobs.TagThing: "servers"} // as a backup of a server copies them
		if _, err := w.region.Capture(ctx, c.CaptureRequest{InstanceID: held.ID, Name: "backup", NoReboot: true, ImageTags: copied, SnapshotTags: copied}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.record(ctx, held, ami)

		things, err := w.estate.List(ctx, jobs.Target{})
		both := []string{orphan.ID, held.ID}
		slices.Sort(both)
		if err != nil || !slices.Equal(ids(things, instance), both) || !slices.Equal(ids(things, image), []string{ami}) || len(ids(things, snapshot)) != 1 {
			t.Fatalf("listed %v, %v", things, err)
		}
		named, err := w.estate.Named(ctx)
		if err != nil || named[orphan.ID] || !named[held.ID] || !named[ami] || !named["i-kept"] || named["i-kept-once"] {
			t.Errorf("named %v, %v", named, err)
		}
		for _, thing := range things {
			if thing.ID != held.ID {
				for range 2 { // what is gone is no error
					if err := w.estate.Remove(ctx, jobs.Target{}, thing); err != nil {
						t.Errorf("%s %s: %v", thing.Kind, thing.ID, err)
					}
				}
			}
		}
		time.Sleep(10 * time.Minute)
		things, err = w.estate.List(ctx, jobs.Target{})
		if err != nil || len(things) != 1 || things[0].ID != held.ID {
			t.Errorf("left %v, %v; expected %s", things, err, held.ID)
		}
		if err := w.estate.Remove(ctx, jobs.Target{}, jobs.Thing{Kind: instance, ID: held.ID, Tags: map[string]string{jobs.TagInstallation: "theirs"}}); !jobs.IsClass(err, jobs.Fatal) {
			t.Errorf("another installation's server was removed: %v", err)
		}
	})
}

// record names the server, the AMI and two builders, one of which was to be kept until now only.
func (w *world) record(ctx context.Context, server c.Instance, ami string) {
	w.t.Helper()
	v, err := w.ledger.ReserveVersion(ctx, w.guard, l.Image{Name: "web"}, l.Version{Incarnation: "inc", Run: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	v.Regions = map[string]l.RegionalCopy{"us-east-1": {AMI: ami}}
	_, publishing := w.ledger.Publish(ctx, w.guard, v, nil)
	_, _, owning := w.ledger.Own(ctx, w.guard, l.Fleet{Name: "front"}, w.guard.Job)
	for _, err := range []error{
		publishing, owning,
		w.ledger.PutServers(ctx, w.guard, []l.Server{{Fleet: "front", Ordinal: 1, InstanceID: server.ID}}),
		w.ledger.PutKept(ctx, w.guard, "i-kept", time.Now().Add(time.Hour)),
		w.ledger.PutKept(ctx, w.guard, "i-kept-once", time.Now()),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}
