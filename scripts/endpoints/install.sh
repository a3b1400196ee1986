#!/usr/bin/env bash
# Installs an endpoint that nobody here wrote, by package names only, without Docker:
#
#   scripts/endpoints/install.sh localstack|independent
#
# independent is DynamoDB Local, ElasticMQ, and moto for the rest. Indexes and mirrors are those that pip and Maven are set
# up for. All goes into $STAMPMILL_ENDPOINTS (else stampmill/endpoints in the user's cache), one folder a package and
# version; what is there already is left alone, and a folder appears when it is complete. Needs Python 3.13 (for
# independent 3.12 and 3.11 do too; $PYTHON if set), a JDK of 17 or later, and Maven. Exits with 75 and the reason where
# something cannot be had.
set -euo pipefail

localstack_version=4.14.0
dynamodb_version=2.6.1
elasticmq_version=1.6.11
moto_version=5.2.2

cache="${STAMPMILL_ENDPOINTS:-${XDG_CACHE_HOME:-$HOME/.cache}/stampmill/endpoints}"
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

unavailable() {
  echo "endpoints: $*" >&2
  exit 75
}

# package NAME-VERSION: makes the package by the function of its name, in a folder of its own that gets its name at the end.
package() {
  [ -d "$cache/$1" ] && return 0
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/.$1.XXXXXX")
  echo "endpoints: installing $1" >&2
  "${1%-*}"
  mv -T "$work" "$cache/$1" 2>/dev/null || [ -d "$cache/$1" ] || unavailable "cannot rename $work to $cache/$1"
  rm -rf "$work" # another run was quicker
  work=
}

# python VERSION…: the first of these Pythons that is here: on the PATH, or kept by pyenv without being on it.
python() {
  local version candidate
  for version in "$@"; do
    for candidate in ${PYTHON:-"python$version" python3 "$(pyenv prefix "$(pyenv latest "$version" 2>/dev/null)" 2>/dev/null)/bin/python"}; do
      if "$candidate" -c "import sys, ssl, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
        echo "$candidate"
        return 0
      fi
    done
  done
  unavailable "no Python $(sed 's/ / or /g' <<<"$*") was found${PYTHON:+ in PYTHON, which is $PYTHON}: put one on the PATH, or name it in PYTHON"
}

# venv PYTHON REQUIREMENT…: a virtual environment in $work/venv. Its scripts name the folder that it was made in; run it by python -m.
venv() {
  local base=$1
  shift
  "$base" -m venv "$work/venv" >"$work/install.log" 2>&1 || unavailable "$base cannot make a virtual environment: $(tail -n 1 "$work/install.log")"
  "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >>"$work/install.log" 2>&1 ||
    unavailable "pip cannot install $*: $(grep -m 1 ERROR "$work/install.log" || tail -n 1 "$work/install.log")"
}

# jars GROUP:ARTIFACT:VERSION FOLDER: the artifact with all that it depends on.
jars() {
  local group artifact version
  IFS=: read -r group artifact version <<<"$1"
  command -v java >/dev/null || unavailable "no Java was found: put a JDK of 17 or later on the PATH"
  command -v mvn >/dev/null || unavailable "no Maven was found: put mvn on the PATH"
  cat >"$work/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>stampmill</groupId><artifactId>endpoint</artifactId><version>1</version>
<dependencies><dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency></dependencies></project>
POM
  mvn --batch-mode --quiet --file "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$2" >>"$work/install.log" 2>&1 ||
    unavailable "Maven cannot get $1: $(grep -m 1 ERROR "$work/install.log" || tail -n 1 "$work/install.log")"
}

dynamodb() {
  jars "com.amazonaws:DynamoDBLocal:$dynamodb_version" "$work/lib"
  cp "$work"/lib/libsqlite4java-linux-amd64-*.so "$work/lib/libsqlite4java-linux-amd64.so"
}

elasticmq() { jars "org.elasticmq:elasticmq-server_2.13:$elasticmq_version" "$work/lib"; }

moto() {
  local base
  base=$(python 3.13 3.12 3.11)
  venv "$base" "moto[server,ec2,ssm,s3,elbv2,cloudformation,iam,sts]==$moto_version"
}

# localstack is the package and, in $work/lib, what it would unpack itself: DynamoDB Local behind a jar that only names its
# class path, an agent that does nothing in the place of its own, and Java.
localstack() {
  command -v javac >/dev/null && command -v jar >/dev/null || unavailable "no JDK was found: put javac and jar, 17 or later, on the PATH"
  local base
  base=$(python 3.13) # pip takes older ones too, which then cannot read its source
  venv "$base" "localstack-core[runtime]==$localstack_version" 'pyopenssl<26.2' 'cbor2<5.9' 'plux<1.15'
  local home=$work/lib/dynamodb-local/2
  mkdir -p "$work/lib/java" "$home" "$work/agent"
  ln -s "$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")" "$work/lib/java/21"
  ln -s "../../../../dynamodb-$dynamodb_version/lib" "$home/DynamoDBLocal_lib"
  {
    echo "Main-Class: com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
    printf 'Class-Path: .'
    (cd "$cache/dynamodb-$dynamodb_version/lib" && for jar in *.jar; do printf ' \n  DynamoDBLocal_lib/%s' "$jar"; done)
    echo
  } >"$work/agent/main.mf"
  jar cfm "$home/DynamoDBLocal.jar" "$work/agent/main.mf"
  echo 'public class Agent { public static void premain(String arguments) {} }' >"$work/agent/Agent.java"
  echo 'Premain-Class: Agent' >"$work/agent/agent.mf"
  javac -d "$work/agent" "$work/agent/Agent.java"
  jar cfm "$home/ddb-local-loader-0.1.jar" "$work/agent/agent.mf" -C "$work/agent" Agent.class
}

case "${1:-}" in
  localstack) packages=("dynamodb-$dynamodb_version" "localstack-$localstack_version") ;;
  independent) packages=("dynamodb-$dynamodb_version" "elasticmq-$elasticmq_version" "moto-$moto_version") ;;
  *) echo "usage: scripts/endpoints/install.sh localstack|independent" >&2; exit 2 ;;
esac
for name in "${packages[@]}"; do
  package "$name"
  echo "$cache/$name"
done
