#!/usr/bin/env bash
# Starts localaws and a worker in the background, or ends them: scripts/local.sh up|down. Pid files and logs are in .run.
set -euo pipefail
cd "$(dirname "$0")/.."

# alive PIDFILE NAME: the process that the file names still runs, and is that program.
alive() {
  [ -s "$1" ] && ps -p "$(cat "$1")" -o comm= 2>/dev/null | grep -q "$2"
}

# stop PIDFILE NAME: asks the process to end, and insists after 15 s.
stop() {
  if alive "$1" "$2"; then
    local pid tries
    pid=$(cat "$1")
    kill "$pid"
    for tries in $(seq 150); do
      alive "$1" "$2" || break
      [ "$tries" -lt 150 ] || kill -9 "$pid"
      sleep 0.1
    done
    echo "ended process $pid, $2"
  fi
  rm -f "$1"
}

# endpoint ADDRESS: starts localaws there and waits for its first line, the URL.
endpoint() {
  : >.run/localaws.out
  bin/localaws --listen "$1" --speed 60 >.run/localaws.out 2>.run/localaws.log </dev/null &
  echo $! >.run/localaws.pid
  for _ in $(seq 100); do
    [ -s .run/localaws.out ] && return 0
    alive .run/localaws.pid localaws || return 1
    sleep 0.1
  done
  return 1
}

up() {
  mkdir -p .run
  if alive .run/localaws.pid localaws || alive .run/worker.pid stampmill; then
    echo "already running; end it with: make down" >&2
    exit 1
  fi
  if ! endpoint "127.0.0.1:${PORT:-4567}" && ! endpoint 127.0.0.1:0; then
    cat .run/localaws.log >&2
    exit 1
  fi
  cat >.run/env <<ENV
export AWS_ENDPOINT_URL=$(head -n 1 .run/localaws.out)
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export PATH="$PWD/bin:\$PATH"
ENV
  # shellcheck disable=SC1091
  . .run/env
  unset AWS_PROFILE AWS_SESSION_TOKEN
  stampmill setup >.run/setup.log
  STAMPMILL_PACE=60 STAMPMILL_POLL=2s STAMPMILL_HEALTH=127.0.0.1:0 STAMPMILL_LOG_FORMAT=text \
    stampmill-worker >.run/worker.log 2>&1 </dev/null &
  echo $! >.run/worker.pid
  if ! stampmill ping --timeout 30s >.run/ping.log 2>&1; then
    cat .run/ping.log .run/worker.log >&2
    down
    exit 1
  fi
  cat <<TEXT
localaws and one worker are running; logs are in .run, and make down ends them. In your shell:

$(sed 's/^/  /' .run/env)

or: source .run/env. Then try:

  stampmill submit examples/demo/bake.yaml --wait
  stampmill image show web
  stampmill submit examples/demo/launch.yaml --wait && stampmill fleet servers web-prod
TEXT
}

down() {
  stop .run/worker.pid stampmill # ps may cut longer names
  stop .run/localaws.pid localaws
  rm -f .run/env
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  *) echo "usage: scripts/local.sh up|down" >&2; exit 2 ;;
esac
