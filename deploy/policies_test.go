package deploy_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// input finds the SDK calls that code makes: each names its input type.
var input = regexp.MustCompile(`&(autoscaling|cloudwatch|dynamodb|ec2|elasticloadbalancingv2|eventbridge|iam|s3|servicequotas|sns|sqs|ssm|sts)\.([A-Z]\w+)Input\{`)

// actionsOf are the IAM actions of calls that are not named as their action is.
var actionsOf = map[string][]string{
	"dynamodb:TransactWriteItems":        {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},
	"dynamodb:BatchExecuteStatement":     {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"},
	"s3:ListObjectsV2":                   {"s3:ListBucket"},
	"s3:HeadObject":                      {"s3:GetObject"},
	"s3:HeadBucket":                      {"s3:ListBucket"},
	"s3:GetPublicAccessBlock":            {"s3:GetBucketPublicAccessBlock"},
	"s3:GetBucketEncryption":             {"s3:GetEncryptionConfiguration"},
	"s3:GetBucketLifecycleConfiguration": {"s3:GetLifecycleConfiguration"},
	"sqs:SendMessageBatch":               {"sqs:SendMessage"},
	"sqs:DeleteMessageBatch":             {"sqs:DeleteMessage"},
	"sqs:ChangeMessageVisibilityBatch":   {"sqs:ChangeMessageVisibility"},
	"sts:GetCallerIdentity":              nil, // needs no permission
	"eventbridge:DescribeRule":           {"events:DescribeRule"},
	"eventbridge:ListTargetsByRule":      {"events:ListTargetsByRule"},
	"eventbridge:PutEvents":              {"events:PutEvents"},
}

// implied are actions that no call names: tags on create, roles that launches pass, roles that the SDK assumes, and what EC2
// does with keys in the worker's name.
var implied = []string{
	"ec2:CreateTags", "iam:PassRole", "sts:AssumeRole", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey",
	"kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
}

func TestTheWorkerMayDoWhatItsCodeCallsAndNothingElse(t *testing.T) {
	t.Parallel()
	used := slices.Clone(implied)
	for call := range calls(t, "../internal/aws") {
		actions, renamed := actionsOf[call]
		if !renamed {
			actions = []string{strings.Replace(call, "elasticloadbalancingv2:", "elasticloadbalancing:", 1)}
		}
		used = append(used, actions...)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	allowed := slices.Compact(slices.Sorted(slices.Values(slices.Concat(actions(t, "WorkerPolicy"), actions(t, "EC2Policy"), actions(t, "ImportPolicy"), actions(t, "GroupsPolicy")))))
	for _, action := range used {
		if !slices.Contains(allowed, action) {
			t.Errorf("the adapters call %s, which no worker policy allows", action)
		}
	}
	for _, action := range allowed {
		if !slices.Contains(used, action) {
			t.Errorf("a worker policy allows %s, which nothing calls", action)
		}
	}
}

func TestTheProducerMayDoNoMoreThanLookAndEnqueue(t *testing.T) {
	t.Parallel()
	harmless := regexp.MustCompile(`^(sqs:(SendMessage|GetQueueUrl)|dynamodb:(GetItem|BatchGetItem|Query)|s3:(PutObject|GetObject|ListBucket)|ec2:(Describe\w+|GetAllowedImagesSettings|GetImageBlockPublicAccessState)|servicequotas:GetServiceQuota|iam:GetInstanceProfile|elasticloadbalancing:Describe\w+|ssm:(GetCommandInvocation|GetParameter))$`)
	worker := slices.Concat(actions(t, "WorkerPolicy"), actions(t, "EC2Policy"), actions(t, "ImportPolicy"), actions(t, "GroupsPolicy"))
	for _, action := range actions(t, "ProducerPolicy") {
		if !harmless.MatchString(action) {
			t.Errorf("the producer may %s", action)
		}
		if !slices.Contains(worker, action) {
			t.Errorf("the producer may %s, and the worker may not", action)
		}
	}
}

// reaping are the actions of `stampmill orphans`: what it reads, records and removes.
var reaping = []string{
	"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "ec2:DescribeInstances",
	"ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeVolumes", "ec2:DescribeSpotInstanceRequests", "ec2:TerminateInstances",
	"ec2:DeregisterImage", "ec2:DisableImageDeregistrationProtection", "ec2:DeleteSnapshot", "ec2:DeleteVolume",
	"ec2:CancelSpotInstanceRequests", "sts:AssumeRole",
}

func TestTheOperatorMayDoWhatMendingCallsAndNothingElse(t *testing.T) {
	t.Parallel()
	used := slices.Clone(reaping)
	made := callsIn(t, "../internal/aws/queue/dead.go", "../internal/aws/queue/batches.go", "../internal/aws/queue/queue.go")
	for _, file := range []string{"looker", "clock", "queues", "events", "tables", "bucket", "targets", "workers", "network"} { // the others try the workers' rights
		made = append(made, callsIn(t, "../internal/aws/setup/doctor/"+file+".go")...)
	}
	for _, call := range made {
		actions, renamed := actionsOf[call]
		if !renamed {
			actions = []string{call}
		}
		used = append(used, actions...)
	}
	allowed := actions(t, "OperatorPolicy")
	for _, action := range used {
		if !slices.Contains(allowed, action) {
			t.Errorf("doctor, dead or orphans calls %s, which OperatorPolicy does not allow", action)
		}
	}
	for _, action := range allowed {
		if !slices.Contains(used, action) {
			t.Errorf("OperatorPolicy allows %s, which neither doctor nor dead nor orphans calls", action)
		}
	}
}

// Every action on EC2, load balancers and Auto Scaling that is no look carries a condition
// on our tag or on launch templates that are named, or can be had on what a launch refers to only.
func TestWhatChangesIsTagged(t *testing.T) {
	t.Parallel()
	for _, s := range slices.Concat(statements(t, "EC2Policy"), statements(t, "ImportPolicy"), statements(t, "GroupsPolicy"), statements(t, "OperatorPolicy")) {
		sid, condition := s["Sid"].(string), s["Condition"]
		for _, action := range texts(s["Action"]) {
			service, verb, _ := strings.Cut(action, ":")
			looks := strings.HasPrefix(verb, "Describe") || verb == "GetImageBlockPublicAccessState" || verb == "GetAllowedImagesSettings" || verb == "GetImageAncestry"
			if looks || (service != "ec2" && service != "elasticloadbalancing" && service != "autoscaling") || sid == "LaunchFrom" {
				continue
			}
			wants := "Tag/stampmill:installation"
			switch sid {
			case "LaunchFromTemplates": // what a group's launch template says, and the stack names the template
				wants = `"ArnLike":{"ec2:LaunchTemplate":`
			case "TagAsTemplatesSay": // nothing that is there already
				wants = `"StringEquals":{"ec2:CreateAction":"RunInstances"}`
			}
			if text := printed(t, condition); !strings.Contains(text, wants) {
				t.Errorf("%s of %s has the condition %s", action, sid, text)
			}
		}
		if sid == "LaunchFrom" {
			for _, resource := range texts(s["Resource"]) {
				if kind := resource[strings.LastIndex(resource, ":")+1:]; kind == "*" || strings.HasPrefix(kind, "instance/") || strings.HasPrefix(kind, "volume/") {
					t.Errorf("%s allows to make %s without a tag", sid, kind)
				}
			}
		}
		if s["Resource"] == "*" && condition == nil && sid != "Look" {
			t.Errorf("%s allows everything everywhere", sid)
		}
	}
}

func TestPoliciesFitManagedPolicies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ProducerPolicy", "OperatorPolicy", "WorkerPolicy", "EC2Policy", "ImportPolicy", "GroupsPolicy", "ServerPolicy"} {
		document := at[object](t, resources(t), name, "Properties", "PolicyDocument")
		// Ten ARNs in each list parameter, and attributes' values, take more room than their names do here.
		if size := len(printed(t, document)) + 1500; size > 6144 {
			t.Errorf("%s has about %d characters; a managed policy takes 6,144", name, size)
		}
	}
}

// calls gives the SDK calls in a folder's code: service:Operation. What setup calls is not the worker's.
func calls(t *testing.T, folder string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && entry.Name() == "setup" {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		code, err := os.ReadFile(path)
		for _, match := range input.FindAllStringSubmatch(string(code), -1) {
			found[match[1]+":"+match[2]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Fatalf("only %d calls found in %s", len(found), folder)
	}
	return found
}

// callsIn gives the SDK calls in files.
func callsIn(t *testing.T, files ...string) []string {
	t.Helper()
	var found []string
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range input.FindAllStringSubmatch(string(code), -1) {
			found = append(found, match[1]+":"+match[2])
		}
	}
	return found
}

func actions(t *testing.T, policy string) []string {
	t.Helper()
	var all []string
	for _, s := range statements(t, policy) {
		all = append(all, texts(s["Action"])...)
	}
	return all
}

func statements(t *testing.T, policy string) []object {
	t.Helper()
	var all []object
	for _, s := range at[list](t, resources(t), policy, "Properties", "PolicyDocument", "Statement") {
		all = append(all, s.(object))
	}
	return all
}

// texts is a text or a list of texts.
func texts(value any) []string {
	if text, ok := value.(string); ok {
		return []string{text}
	}
	var all []string
	for _, v := range value.(list) {
		all = append(all, v.(string))
	}
	return all
}

func printed(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
