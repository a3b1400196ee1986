package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Installation is where to set up.
type Installation struct {
	Prefix, Bucket, Region string
	SQS                    *sqs.Client
	DynamoDB               *dynamodb.Client
	S3                     *s3.Client
	// Events is EventBridge; nil: no rules are made, and the workers poll.
	Events *eventbridge.Client
	// Tell is called for each thing with what was found or made. It may be nil.
	Tell func(thing, name string, made bool)
}

// Make makes what is missing of the installation.
func (in Installation) Make(ctx context.Context) error {
	if in.Tell == nil {
		in.Tell = func(string, string, bool) {}
	}
	arns := map[string]string{}
	for _, q := range Queues(in.Prefix) {
		if err := in.makeQueue(ctx, q, arns); err != nil {
			return fmt.Errorf("set up queue %s: %w", q.Name, err)
		}
	}
	for _, t := range Tables(in.Prefix) {
		if err := in.makeTable(ctx, t); err != nil {
			return fmt.Errorf("set up table %s: %w", t.Name, err)
		}
	}
	if err := in.makeBucket(ctx); err != nil {
		return fmt.Errorf("set up bucket %s: %w", in.Bucket, err)
	}
	if in.Events == nil {
		return nil
	}
	if err := in.makeRules(ctx, arns); err != nil {
		return fmt.Errorf("%w\nall else is set up, and works without: the workers poll (stampmill setup --no-events leaves the rules out)", err)
	}
	return nil
}

func (in Installation) makeQueue(ctx context.Context, q Queue, arns map[string]string) error {
	attributes := map[string]string{
		"MessageRetentionPeriod":        seconds(q.Retention),
		"VisibilityTimeout":             seconds(Visibility),
		"ReceiveMessageWaitTimeSeconds": seconds(LongPoll),
	}
	if q.DeadLetters != "" {
		policy, err := json.Marshal(map[string]any{"deadLetterTargetArn": arns[q.DeadLetters], "maxReceiveCount": Redrive})
		if err != nil {
			return err
		}
		attributes["RedrivePolicy"] = string(policy)
	}
	found, err := in.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.Name})
	url := ""
	if err == nil {
		url = aws.ToString(found.QueueUrl)
		_, err = in.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes})
	} else {
		var made *sqs.CreateQueueOutput
		made, err = in.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &q.Name, Attributes: attributes})
		if err == nil {
			url = aws.ToString(made.QueueUrl)
		}
	}
	if err != nil {
		return err
	}
	in.Tell("queue", q.Name, found == nil)
	out, err := in.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn}})
	if err != nil {
		return err
	}
	arns[q.Name] = out.Attributes["QueueArn"]
	return nil
}

func (in Installation) makeTable(ctx context.Context, t Table) error {
	_, err := in.DynamoDB.CreateTable(ctx, tableInput(t))
	var exists *ddb.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	in.Tell("table", t.Name, err == nil)
	waiter := dynamodb.NewTableExistsWaiter(in.DynamoDB, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Second, 5*time.Second
	})
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &t.Name}, 2*time.Minute); err != nil {
		return err
	}
	if t.ExpiresBy == "" {
		return nil
	}
	ttl, err := in.DynamoDB.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.Name})
	if err != nil {
		return err
	}
	if d := ttl.TimeToLiveDescription; d != nil && (d.TimeToLiveStatus == ddb.TimeToLiveStatusEnabled || d.TimeToLiveStatus == ddb.TimeToLiveStatusEnabling) {
		return nil
	}
	_, err = in.DynamoDB.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &t.Name,
		TimeToLiveSpecification: &ddb.TimeToLiveSpecification{AttributeName: &t.ExpiresBy, Enabled: aws.Bool(true)}})
	return err
}

func tableInput(t Table) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{TableName: &t.Name, BillingMode: ddb.BillingModePayPerRequest}
	defined := map[string]bool{}
	define := func(a Attribute) {
		if !defined[a.Name] {
			defined[a.Name] = true
			in.AttributeDefinitions = append(in.AttributeDefinitions,
				ddb.AttributeDefinition{AttributeName: aws.String(a.Name), AttributeType: ddb.ScalarAttributeType(a.Type)})
		}
	}
	schema := func(hash Attribute, sort *Attribute) []ddb.KeySchemaElement {
		define(hash)
		keys := []ddb.KeySchemaElement{{AttributeName: aws.String(hash.Name), KeyType: ddb.KeyTypeHash}}
		if sort != nil {
			define(*sort)
			keys = append(keys, ddb.KeySchemaElement{AttributeName: aws.String(sort.Name), KeyType: ddb.KeyTypeRange})
		}
		return keys
	}
	in.KeySchema = schema(t.Hash, t.Range)
	for _, index := range t.Indexes {
		projection := &ddb.Projection{ProjectionType: ddb.ProjectionTypeKeysOnly}
		if len(index.Includes) > 0 {
			projection = &ddb.Projection{ProjectionType: ddb.ProjectionTypeInclude, NonKeyAttributes: index.Includes}
		}
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, ddb.GlobalSecondaryIndex{
			IndexName: aws.String(index.Name), KeySchema: schema(index.Hash, &index.Range), Projection: projection})
	}
	return in
}

// makeBucket makes a bucket that is private and encrypted, and forgets what is old.
func (in Installation) makeBucket(ctx context.Context) error {
	_, err := in.S3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &in.Bucket})
	made := err != nil
	if made {
		create := &s3.CreateBucketInput{Bucket: &in.Bucket}
		if in.Region != "us-east-1" {
			create.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(in.Region)}
		}
		if _, err := in.S3.CreateBucket(ctx, create); err != nil {
			return err
		}
	}
	in.Tell("bucket", in.Bucket, made)
	if _, err := in.S3.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &in.Bucket,
		PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true),
			IgnorePublicAcls: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true)}}); err != nil {
		return err
	}
	_, err = in.S3.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &in.Bucket,
		LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: []s3types.LifecycleRule{
			expire("logs", "logs/", LogDays), expire("reports", "reports/", LogDays), expire("files", "files/", FileDays),
			expire("launches", "launches/", LaunchDays)}}})
	return err
}

func expire(id, prefix string, days int32) s3types.LifecycleRule {
	return s3types.LifecycleRule{ID: &id, Status: s3types.ExpirationStatusEnabled, Filter: &s3types.LifecycleRuleFilter{Prefix: &prefix},
		Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(days)}}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
