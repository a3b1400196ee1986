#!/usr/bin/env bash
# Asks localaws with the AWS CLI for each call that Stampmill makes, and checks the answers.
#
#   integration/aws-cli.sh [PYTHON]
#
# PYTHON (or $PYTHON, else python3) makes a virtual environment in .venv with the CLI from PyPI; with AWS_CLI=/path/to/aws
# that one is taken. bin/localaws must be built: make build.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
endpoint_pid=
finish() {
  [ -z "$endpoint_pid" ] || kill "$endpoint_pid" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

if [ -z "${AWS_CLI:-}" ]; then
  python=${1:-${PYTHON:-python3}}
  [ -x .venv/bin/pip ] || "$python" -m venv .venv
  [ -x .venv/bin/aws ] || .venv/bin/pip install --quiet --disable-pip-version-check awscli
  AWS_CLI=$PWD/.venv/bin/aws
fi

[ -x bin/localaws ] || { echo "bin/localaws is missing: make build" >&2; exit 1; }
bin/localaws --listen 127.0.0.1:0 --speed 600 --buckets=false >"$work/url" 2>"$work/log" </dev/null &
endpoint_pid=$!
for _ in $(seq 100); do [ -s "$work/url" ] && break; sleep 0.1; done
[ -s "$work/url" ] || { cat "$work/log" >&2; exit 1; }

AWS_ENDPOINT_URL=$(head -n 1 "$work/url")
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION

passed=0 failed=0

# aws ARGUMENTS: the CLI, text output. Its version 1 needs the address as an option for SQS: it asks queue.amazonaws.com otherwise,
# whatever AWS_ENDPOINT_URL says.
aws() { "$AWS_CLI" --endpoint-url "$AWS_ENDPOINT_URL" --output text "$@"; }

# is EXPECTED ARGUMENTS: the answer matches the whole pattern EXPECTED, a shell pattern. The answer is left in $answer.
is() {
  local expected=$1 call="$2 $3"
  shift
  if answer=$(aws "$@" 2>"$work/stderr") && [[ $answer == $expected ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED %s\n  aws %s\n  expected %s\n  got      %s %s\n' "$call" "$*" "$expected" "$answer" "$(tr '\n' ' ' <"$work/stderr")"
  fi
}

# refused CODE ARGUMENTS: the call fails with that error code.
refused() {
  local code=$1
  shift
  if ! answer=$(aws "$@" 2>&1) && [[ $answer == *"($code)"* ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED %s %s\n  aws %s\n  expected the error %s\n  got %s\n' "$1" "$2" "$*" "$code" "$answer"
  fi
}

# eventually EXPECTED ARGUMENTS: is, asked again for up to 60 s.
eventually() {
  local expected=$1 i
  shift
  for i in $(seq 60); do
    if answer=$(aws "$@" 2>"$work/stderr") && [[ $answer == $expected ]]; then break; fi
    sleep 1
  done
  is "$expected" "$@"
}

part() { printf '%s: ' "$1"; before=$passed; }
end() { echo "$((passed - before)) passed"; }

part sts
is 000000000000 sts get-caller-identity --query Account
is 'ASIA*' sts assume-role --role-arn arn:aws:iam::111122223333:role/stampmill --role-session-name demo --query Credentials.AccessKeyId
end

part sqs
is 'http*/demo-dead' sqs create-queue --queue-name demo-dead --attributes MessageRetentionPeriod=1209600 --query QueueUrl
dead=$(aws sqs get-queue-attributes --queue-url "$answer" --attribute-names QueueArn --query Attributes.QueueArn)
is 'http*/demo' sqs create-queue --queue-name demo --query QueueUrl
is 'http*/demo' sqs get-queue-url --queue-name demo --query QueueUrl
queue=$answer
is '' sqs set-queue-attributes --queue-url "$queue" \
  --attributes "{\"VisibilityTimeout\":\"90\",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$dead\\\",\\\"maxReceiveCount\\\":\\\"100\\\"}\"}"
is 90 sqs get-queue-attributes --queue-url "$queue" --attribute-names VisibilityTimeout --query Attributes.VisibilityTimeout
is '*-*-*' sqs send-message --queue-url "$queue" --message-body one --query MessageId
is $'*\t*' sqs send-message-batch --queue-url "$queue" --entries Id=a,MessageBody=two Id=b,MessageBody=three --query 'Successful[].Id'
is '3' sqs receive-message --queue-url "$queue" --max-number-of-messages 10 --visibility-timeout 0 --wait-time-seconds 2 --query 'length(Messages)'
receipt() { aws sqs receive-message --queue-url "$queue" --wait-time-seconds 2 --query 'Messages[0].ReceiptHandle'; }
is '' sqs change-message-visibility --queue-url "$queue" --receipt-handle "$(receipt)" --visibility-timeout 600
is a sqs change-message-visibility-batch --queue-url "$queue" --entries "Id=a,ReceiptHandle=$(receipt),VisibilityTimeout=0" --query 'Successful[].Id'
is '' sqs delete-message --queue-url "$queue" --receipt-handle "$(receipt)"
is a sqs delete-message-batch --queue-url "$queue" --entries "Id=a,ReceiptHandle=$(receipt)" --query 'Successful[].Id'
is 1 sqs get-queue-attributes --queue-url "$queue" --attribute-names All --query Attributes.ApproximateNumberOfMessagesNotVisible
refused AWS.SimpleQueueService.NonExistentQueue sqs get-queue-url --queue-name nobodys
end

part dynamodb
is '[AC]*' dynamodb create-table --table-name things --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=id,AttributeType=S AttributeName=s,AttributeType=S AttributeName=n,AttributeType=N \
  --key-schema AttributeName=id,KeyType=HASH --query TableDescription.TableStatus \
  --global-secondary-indexes 'IndexName=by-s,KeySchema=[{AttributeName=s,KeyType=HASH},{AttributeName=n,KeyType=RANGE}],Projection={ProjectionType=KEYS_ONLY}'
eventually ACTIVE dynamodb describe-table --table-name things --query Table.TableStatus
is exp dynamodb update-time-to-live --table-name things --time-to-live-specification Enabled=true,AttributeName=exp --query TimeToLiveSpecification.AttributeName
is 'ENABL*' dynamodb describe-time-to-live --table-name things --query TimeToLiveDescription.TimeToLiveStatus
is '' dynamodb put-item --table-name things --item '{"id":{"S":"a"},"s":{"S":"x"},"n":{"N":"1"}}' --condition-expression 'attribute_not_exists(id)'
refused ConditionalCheckFailedException dynamodb put-item --table-name things --item '{"id":{"S":"a"}}' --condition-expression 'attribute_not_exists(id)'
is 1 dynamodb get-item --table-name things --key '{"id":{"S":"a"}}' --consistent-read --query Item.n.N
is 3 dynamodb update-item --table-name things --key '{"id":{"S":"a"}}' --update-expression 'SET n = n + :two' --condition-expression 'n = :one' \
  --expression-attribute-values '{":one":{"N":"1"},":two":{"N":"2"}}' --return-values ALL_NEW --query Attributes.n.N
is '' dynamodb transact-write-items --transact-items '[
  {"Put":{"TableName":"things","Item":{"id":{"S":"b"},"s":{"S":"x"},"n":{"N":"5"}}}},
  {"ConditionCheck":{"TableName":"things","Key":{"id":{"S":"a"}},"ConditionExpression":"n = :n","ExpressionAttributeValues":{":n":{"N":"3"}}}}]'
is $'a\tb' dynamodb query --table-name things --index-name by-s --key-condition-expression 's = :s AND n < :n' \
  --expression-attribute-values '{":s":{"S":"x"},":n":{"N":"9"}}' --query 'Items[].id.S'
is 2 dynamodb scan --table-name things --filter-expression 'n > :n' --expression-attribute-values '{":n":{"N":"0"}}' --query Count
is 2 dynamodb batch-get-item --request-items '{"things":{"Keys":[{"id":{"S":"a"}},{"id":{"S":"b"}}]}}' --query 'length(Responses.things)'
is 3 dynamodb delete-item --table-name things --key '{"id":{"S":"a"}}' --return-values ALL_OLD --query Attributes.n.N
end

part s3
is '/demo' s3api create-bucket --bucket demo --query Location
is '*' s3api head-bucket --bucket demo
is '' s3api put-public-access-block --bucket demo \
  --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
is '*' s3api put-bucket-lifecycle-configuration --bucket demo \
  --lifecycle-configuration '{"Rules":[{"ID":"logs","Status":"Enabled","Filter":{"Prefix":"logs/"},"Expiration":{"Days":90}}]}'
printf 'hello' >"$work/hello"
is '"*"' s3api put-object --bucket demo --key files/hello --body "$work/hello" --query ETag
is 'hello' s3 cp s3://demo/files/hello -
is 5 s3api get-object --bucket demo --key files/hello --query ContentLength "$work/back"
is files/hello s3api list-objects-v2 --bucket demo --prefix files/ --query 'Contents[].Key'
is 'http*files/hello?*' s3 presign s3://demo/files/hello
refused NoSuchKey s3api get-object --bucket demo --key nothing "$work/back"
end

part secretsmanager
is 'arn:aws:secretsmanager:*' secretsmanager create-secret --name build/token --secret-string s3cret --query ARN
is s3cret secretsmanager get-secret-value --secret-id build/token --query SecretString
end

part 'ec2: launching'
ami=$(aws ssm get-parameter --name /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64 --query Parameter.Value)
is "$ami" ec2 describe-images --image-ids "$ami" --include-disabled --query 'Images[].ImageId'
is 'subnet-*' ec2 describe-subnets --filters Name=default-for-az,Values=true --query 'Subnets[0].SubnetId'
subnet=$answer
is 'sg-*' ec2 describe-security-groups --filters Name=group-name,Values=default --query 'SecurityGroups[0].GroupId'
is '*us-east-1a*' ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=m7i.large \
  --query 'InstanceTypeOfferings[].Location'
is 'lt-*' ec2 create-launch-template --launch-template-name web --launch-template-data "{\"ImageId\":\"$ami\",\"InstanceType\":\"m7i.large\"}" \
  --query LaunchTemplate.LaunchTemplateId
is 2 ec2 create-launch-template-version --launch-template-name web --source-version 1 --launch-template-data '{"InstanceType":"m7i.xlarge"}' \
  --query LaunchTemplateVersion.VersionNumber
is 2 ec2 modify-launch-template --launch-template-name web --default-version 2 --query LaunchTemplate.DefaultVersionNumber
is m7i.xlarge ec2 describe-launch-template-versions --launch-template-name web --versions '$Default' \
  --query 'LaunchTemplateVersions[].LaunchTemplateData.InstanceType'
launch=(ec2 run-instances --image-id "$ami" --instance-type m7i.large --count 1 --subnet-id "$subnet" --client-token token-1
  --iam-instance-profile Name=demo --metadata-options HttpTokens=required
  --tag-specifications 'ResourceType=instance,Tags=[{Key=team,Value=edge}]' 'ResourceType=volume,Tags=[{Key=team,Value=edge}]')
is 'i-*' "${launch[@]}" --query 'Instances[].InstanceId'
instance=$answer
is "$instance" "${launch[@]}" --query 'Instances[].InstanceId'
eventually running ec2 describe-instances --filters "Name=instance-id,Values=$instance" --query 'Reservations[].Instances[].State.Name'
is "$instance" ec2 describe-instances --filters Name=client-token,Values=token-1 --query 'Reservations[].Instances[].InstanceId'
eventually ok ec2 describe-instance-status --instance-ids "$instance" --query 'InstanceStatuses[].InstanceStatus.Status'
is '' ec2 create-tags --resources "$instance" --tags Key=seen,Value=yes
is "$instance" ec2 describe-instances --filters Name=tag:seen,Values=yes --query 'Reservations[].Instances[].InstanceId'
is "$instance" ec2 get-console-output --instance-id "$instance" --query InstanceId
refused InvalidInstanceID.NotFound ec2 describe-instances --instance-ids i-0123456789abcdef0
end

part ssm
eventually Online ssm describe-instance-information --filters "Key=InstanceIds,Values=$instance" --query 'InstanceInformationList[].PingStatus'
is '*-*-*' ssm send-command --instance-ids "$instance" --document-name AWS-RunShellScript --timeout-seconds 60 \
  --parameters 'commands=["echo stamped >/etc/motd; cat /etc/motd"],executionTimeout=["60"]' --query Command.CommandId
command=$answer
eventually Success ssm get-command-invocation --command-id "$command" --instance-id "$instance" --query Status
is stamped ssm get-command-invocation --command-id "$command" --instance-id "$instance" --query StandardOutputContent
is Success ssm list-command-invocations --command-id "$command" --details --query 'CommandInvocations[].Status'
is '*' ssm cancel-command --command-id "$command"
is 1 ssm put-parameter --name /images/web --value "$ami" --type String --data-type aws:ec2:image --overwrite --query Version
eventually "$ami" ssm get-parameter --name /images/web --with-decryption --query Parameter.Value
refused ParameterNotFound ssm get-parameter --name /nobody
end

part elbv2
vpc=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[].VpcId')
is 'arn:aws:elasticloadbalancing:*' elbv2 create-target-group --name web --protocol HTTP --port 80 --vpc-id "$vpc" --target-type instance \
  --query 'TargetGroups[].TargetGroupArn'
group=$answer
is "$group" elbv2 describe-target-groups --names web --query 'TargetGroups[].TargetGroupArn'
is '' elbv2 register-targets --target-group-arn "$group" --targets "Id=$instance"
is "$instance" elbv2 describe-target-health --target-group-arn "$group" --query 'TargetHealthDescriptions[].Target.Id'
is '' elbv2 deregister-targets --target-group-arn "$group" --targets "Id=$instance"
refused TargetGroupNotFound elbv2 describe-target-groups --names nobodys
end

part 'ec2: power'
is '' ec2 reboot-instances --instance-ids "$instance"
is stopping ec2 stop-instances --instance-ids "$instance" --query 'StoppingInstances[].CurrentState.Name'
eventually stopped ec2 describe-instances --instance-ids "$instance" --query 'Reservations[].Instances[].State.Name'
is pending ec2 start-instances --instance-ids "$instance" --query 'StartingInstances[].CurrentState.Name'
eventually running ec2 describe-instances --instance-ids "$instance" --query 'Reservations[].Instances[].State.Name'
end

part 'ec2: images'
is 'ami-*' ec2 create-image --instance-id "$instance" --name web-1 --no-reboot \
  --tag-specifications 'ResourceType=image,Tags=[{Key=team,Value=edge}]' 'ResourceType=snapshot,Tags=[{Key=team,Value=edge}]' --query ImageId
image=$answer
refused InvalidAMIName.Duplicate ec2 create-image --instance-id "$instance" --name web-1 --no-reboot
eventually available ec2 describe-images --owners self --filters Name=tag:team,Values=edge --query 'Images[].State'
is 'ami-*' ec2 copy-image --source-region us-east-1 --source-image-id "$image" --name web-1 --client-token copy-1 --region eu-west-1 --query ImageId
copy=$answer
eventually available ec2 describe-images --image-ids "$copy" --region eu-west-1 --query 'Images[].State'
is 'snap-*' ec2 describe-snapshots --owner-ids self --filters Name=tag:team,Values=edge --query 'Snapshots[].SnapshotId'
snapshot=$answer
is True ec2 enable-image-deprecation --image-id "$image" --deprecate-at 2030-01-01T00:00:00Z --query Return
is '*' ec2 enable-image-deregistration-protection --image-id "$image"
refused OperationNotPermitted ec2 deregister-image --image-id "$image"
is '*' ec2 disable-image-deregistration-protection --image-id "$image"
is '' ec2 modify-image-attribute --image-id "$image" --launch-permission 'Add=[{UserId=111122223333}]'
is 111122223333 ec2 describe-image-attribute --image-id "$image" --attribute launchPermission --query 'LaunchPermissions[].UserId'
is '' ec2 modify-snapshot-attribute --snapshot-id "$snapshot" --attribute createVolumePermission --operation-type add --user-ids 111122223333
is '*block*' ec2 get-image-block-public-access-state --query ImageBlockPublicAccessState
is '*' ec2 describe-image-references --image-ids "$image" --include-all-resource-types --query 'length(ImageReferences)'
is '*' ec2 deregister-image --image-id "$image"
is '' ec2 delete-snapshot --snapshot-id "$snapshot"
end

part 'ec2: ending'
is '*' ec2 run-instances --image-id "$ami" --instance-type m7i.large --instance-market-options MarketType=spot --query 'Instances[].SpotInstanceRequestId'
spot=$(aws ec2 describe-spot-instance-requests --query 'SpotInstanceRequests[0].SpotInstanceRequestId')
is cancelled ec2 cancel-spot-instance-requests --spot-instance-request-ids "$spot" --query 'CancelledSpotInstanceRequests[].State'
is 'vol-*' ec2 create-volume --availability-zone us-east-1a --size 8 --query VolumeId
volume=$answer
eventually available ec2 describe-volumes --volume-ids "$volume" --query 'Volumes[].State'
is '' ec2 delete-volume --volume-id "$volume"
is shutting-down ec2 terminate-instances --instance-ids "$instance" --query 'TerminatingInstances[].CurrentState.Name'
eventually terminated ec2 describe-instances --instance-ids "$instance" --query 'Reservations[].Instances[].State.Name'
end

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
