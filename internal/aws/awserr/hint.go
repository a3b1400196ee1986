package awserr

import (
	"regexp"
	"strings"
)

// hints say what a person does about a code.
var hints = map[string]string{
	"VcpuLimitExceeded":            "raise the EC2 quota \"Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances\", or that of this type's family, in Service Quotas; the job goes on by itself",
	"InstanceLimitExceeded":        "raise the EC2 quota of running instances in Service Quotas; the job goes on by itself",
	"VolumeLimitExceeded":          "raise the EBS quota \"Storage for … volumes, in TiB\" in Service Quotas, or delete volumes; the job goes on by itself",
	"SnapshotLimitExceeded":        "raise the EBS quota \"Snapshots per Region\" in Service Quotas, or delete snapshots; the job goes on by itself",
	"MaxSpotInstanceCountExceeded": "raise the EC2 quota \"All Standard Spot Instance Requests\" in Service Quotas",
	"PendingVerification":          "AWS is still verifying the account for this region; it mails when it is done",
	"OptInRequired":                "subscribe to the AMI's product in AWS Marketplace, or enable the region for the account",
	"Blocked":                      "AWS has blocked the account: contact AWS Support",
	"AuthFailure":                  "check the credentials, and that the region is enabled for the account",
	"AuthFailure.ServiceLinkedRoleCreationNotPermitted": "the account has never used spot: run once, as an administrator, aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
	"VPCIdNotSpecified":           "the region has no default VPC: name subnets",
	"InvalidClientTokenId":        "check the access key, and that the region is enabled for the account",
	"UnrecognizedClientException": "check the access key, and that the region is enabled for the account",
	"SignatureDoesNotMatch":       "check the secret access key",
	"ExpiredToken":                "the session has ended: renew the credentials",
	"ExpiredTokenException":       "the session has ended: renew the credentials",
	"RequestExpired":              "set the host's clock",
	"RequestTimeTooSkewed":        "set the host's clock",
	"OperationNotPermitted":       "switch off the protection, or the block of public access, that the message names",
	"InvalidAMIID.NotFound":       "the AMI does not exist in this region, is not shared with this account, or Allowed AMIs refuses it",
	"InvalidAMIID.Unavailable":    "the AMI is still pending, deregistered or not launchable",
	"InvalidUserData.Malformed":   "user data is limited to 16 KiB before base64",
	"InvalidSubnetID.NotFound":    "check the subnet's id, region and account",
	"InvalidGroup.NotFound":       "check the security group's name, and that it is in the subnet's VPC",
	"NoSuchBucket":                "run `stampmill setup`, or deploy the CloudFormation template",
	"ResourceNotFoundException":   "a table is missing: run `stampmill setup`, or deploy the CloudFormation template",
	"InvalidInstanceId":           "the instance is not managed by SSM (yet): it needs the agent, an instance profile that allows SSM, and a way to its endpoint",
}

var missingAction = regexp.MustCompile(`not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9*]+)`)

// hint is what to do about the code; action is the call's IAM action, for messages that do not name it.
func hint(code, message, action string) string {
	switch code {
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError": // the last is what SNS says
		if m := missingAction.FindStringSubmatch(message); m != nil {
			return "the IAM policy of the worker's role must allow " + m[1]
		}
		return "the IAM policy of the worker's role must allow " + action
	case "InvalidParameterCombination":
		if strings.Contains(message, "etwork interfaces and an instance-level") {
			return "the launch template has network interfaces: let it say subnet, security groups and public address, or use one without them"
		}
	}
	return hints[code]
}
