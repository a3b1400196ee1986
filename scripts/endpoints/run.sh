#!/usr/bin/env bash
# Runs a command on an endpoint, and passes on its exit code:
#
#   scripts/endpoints/run.sh embedded|localstack|independent|environment COMMAND…
#
# localstack and independent are installed (install.sh) and started on free ports of the loopback; AWS_ENDPOINT_URL and
# AWS_ENDPOINT_URL_SERVICE tell the command where they are, and all is ended behind it. Where Docker runs, LocalStack is
# left to the suite, which starts its own container. The other two are the suite's own business too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ $# -lt 2 ]; then
  echo "usage: scripts/endpoints/run.sh embedded|localstack|independent|environment COMMAND…" >&2
  exit 2
fi
export STAMPMILL_ENDPOINT=$1
shift

case $STAMPMILL_ENDPOINT in
  localstack)
    if [ -z "${STAMPMILL_NO_DOCKER:-}" ] && timeout 10 docker info >/dev/null 2>&1; then
      GOFLAGS="${GOFLAGS:-} -tags=localstack" exec "$@"
    fi
    ;;
  independent) ;;
  *) exec "$@" ;;
esac

installed=$("$here/install.sh" "$STAMPMILL_ENDPOINT") # ends here with 75 where something cannot be had
work=$(mktemp -d)
children=() command=
declare -A started=()

# finish ends what this script started, by process id: the command first, then the endpoints, each with what it started.
finish() {
  trap - EXIT
  trap '' INT TERM HUP
  local pid
  [ -z "$command" ] || end "$command"
  for pid in "${children[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in "${children[@]}"; do end "$pid"; done
  rm -rf "$work"
}

# end PID: ends a process group, and insists after 10 s.
end() {
  kill -TERM -- "-$1" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 -- "-$1" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL -- "-$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

package() { grep "/$1-[^/]*$" <<<"$installed"; }

# start NAME COMMAND…: starts the endpoint in a process group of its own, so that what it starts ends with it.
start() {
  local name=$1
  shift
  set -m
  "$@" >"$work/$name.log" 2>&1 </dev/null &
  set +m
  children+=($!) started[$name]=$!
}

# ready NAME URL: waits until something answers there, whatever it answers.
ready() {
  local pid=${started[$1]} deadline=$((SECONDS + 180))
  until "$python" -c 'import http.client, sys, urllib.parse
url = urllib.parse.urlparse(sys.argv[1])
asked = http.client.HTTPConnection(url.netloc, timeout=5)
asked.request("GET", url.path or "/")
asked.getresponse()' "$2" 2>/dev/null; do
    if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -gt "$deadline" ]; then
      echo "endpoints: $1 did not start; the end of its log:" >&2
      tail -n 20 "$work/$1.log" >&2
      exit 1
    fi
    sleep 0.2
  done
}

# warm SERVICE OPERATION…: makes the first calls, which load the services one by one and take seconds.
warm() {
  "$python" -c 'import sys, boto3
for name, operation in zip(sys.argv[1::2], sys.argv[2::2]):
    getattr(boto3.client(name, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"), operation)()' "$@"
}

# ports N: free ports of the loopback, held all at once so that they differ.
ports() {
  "$python" -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

independent() {
  local dynamodb elasticmq moto
  python=$(package moto)/venv/bin/python
  read -r dynamodb elasticmq moto < <(ports 3)
  cat >"$work/elasticmq.conf" <<CONF
include classpath("application.conf")
rest-sqs { bind-hostname = "127.0.0.1", bind-port = $elasticmq }
rest-stats { enabled = false }
node-address { protocol = http, host = "127.0.0.1", port = $elasticmq }
CONF
  local lib
  lib=$(package elasticmq)/lib
  start elasticmq java -Xmx512m -Dconfig.file="$work/elasticmq.conf" -cp "$lib/*" org.elasticmq.server.Main
  lib=$(package dynamodb)/lib
  start dynamodb env -C "$work" java -Xmx1g -Djava.library.path="$lib" -cp "$lib/*" \
    com.amazonaws.services.dynamodbv2.local.main.ServerRunner -inMemory -port "$dynamodb"
  MOTO_ENABLE_AMI_VALIDATION=1 start moto "$python" -m moto.server -H 127.0.0.1 -p "$moto"
  export AWS_ENDPOINT_URL=http://127.0.0.1:$moto
  export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:$dynamodb AWS_ENDPOINT_URL_SQS=http://127.0.0.1:$elasticmq
  ready moto "$AWS_ENDPOINT_URL"
  ready dynamodb "$AWS_ENDPOINT_URL_DYNAMODB"
  ready elasticmq "$AWS_ENDPOINT_URL_SQS"
  warm ec2 describe_images ssm describe_parameters s3 list_buckets sts get_caller_identity
}

localstack() {
  local package port
  package=$(package localstack)
  python=$package/venv/bin/python
  port=$(ports 1)
  mkdir -p "$work/root/var/lib/localstack"
  ln -s "$package/lib" "$work/root/var/lib/localstack/lib"
  start localstack env FILESYSTEM_ROOT="$work/root" OVERRIDE_IN_DOCKER=0 GATEWAY_LISTEN="127.0.0.1:$port" \
    LOCALSTACK_HOST="127.0.0.1:$port" SQS_ENDPOINT_STRATEGY=path GATEWAY_SERVER=hypercorn DNS_ADDRESS=0 \
    SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DYNAMODB_IN_MEMORY=1 PROVIDER_OVERRIDE_DYNAMODB=v2 \
    SERVICES=sqs,dynamodb,s3,ec2,ssm,sts,iam,cloudwatch,events,sns,cloudformation \
    "$python" -m localstack.runtime.main
  export AWS_ENDPOINT_URL=http://127.0.0.1:$port
  ready localstack "$AWS_ENDPOINT_URL/_localstack/health"
  warm sts get_caller_identity sqs list_queues dynamodb list_tables s3 list_buckets ec2 describe_images \
    ssm describe_parameters cloudformation list_stacks
}

unset AWS_PROFILE "${!AWS_ENDPOINT_URL@}"
"$STAMPMILL_ENDPOINT"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1

set -m # a group of its own for the command too
"$@" &
command=$!
set +m
code=0
wait "$command" || code=$?
command=
exit "$code"
