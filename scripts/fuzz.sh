#!/usr/bin/env bash
# Runs every fuzz target for TIME each (20s by default; 1000000x is a count of executions), two at a time with one worker
# each. Prints each target's executions and how long they took; fails on a finding, and prints its file and how to replay it.
set -euo pipefail
cd "$(dirname "$0")/.."
time="${1:-20s}"

work=$(mktemp -d)
running=()
# End only what this script began.
stop() {
  for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

# fuzz NAME PACKAGE: one target, from the binary that was built.
fuzz() {
  local name=$1 package=$2 begun=$SECONDS code=0
  local binary="$work/${package//\//_}.test" log="$work/$name.log"
  (cd "$package" && exec nice -n 10 "$binary" -test.run='^$' -test.fuzz="^$name\$" -test.fuzztime="$time" -test.parallel=1 \
    -test.fuzzminimizetime=200x -test.fuzzcachedir="$work/cache/$package" -test.timeout=0) >"$log" 2>&1 || code=$?
  local count
  count=$(grep -oE 'execs: [0-9]+' "$log" | tail -n 1 | grep -oE '[0-9]+' || echo 0)
  if [ "$code" -eq 0 ] && [[ "$time" == *x ]] && [ "$count" -lt "${time%x}" ]; then
    printf '%-16s %9d executions %5d s  STOPPED  ./%s\n' "$name" "$count" $((SECONDS - begun)) "$package"
    return 1
  fi
  if [ "$code" -eq 0 ]; then
    printf '%-16s %9d executions %5d s  clean    ./%s\n' "$name" "$count" $((SECONDS - begun)) "$package"
    return
  fi
  printf '%-16s %9d executions %5d s  FINDING  ./%s\n' "$name" "$count" $((SECONDS - begun)) "$package"
  grep -vE '^fuzz: (elapsed|minimizing)' "$log" | head -n 60 | sed 's/^/    /'
  local crasher
  crasher=$(grep -oE "testdata/fuzz/$name/[0-9a-f]+" "$log" | tail -n 1 || true)
  if [ -n "$crasher" ]; then
    printf '    kept in %s; replay it with: go test -run=%s/%s ./%s\n' "$package/$crasher" "$name" "${crasher##*/}" "$package"
  fi
  return 1
}

targets=$(git grep -hno -E '^func Fuzz[A-Za-z]+' -- '*_test.go' | wc -l)
[ "$targets" -gt 0 ] || { echo "no fuzz targets: is this a checkout of Stampmill?" >&2; exit 1; }
for package in $(git grep -l -E '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u); do
  # Any pattern makes go test build for fuzzing.
  go test -c -vet=off -fuzz=Fuzz -o "$work/${package//\//_}.test" "./$package"
done
echo "built in $SECONDS s"

failed=0
while IFS=: read -r file name; do
  if [ "${#running[@]}" -eq 2 ]; then
    wait -n -p ended "${running[@]}" || failed=1
    mapfile -t running < <(printf '%s\n' "${running[@]}" | grep -vx "$ended" || true)
  fi
  fuzz "$name" "$(dirname "$file")" &
  running+=("$!")
done < <(git grep -o -E '^func Fuzz[A-Za-z]+' -- '*_test.go' | sed 's/:func /:/')
for pid in "${running[@]}"; do wait "$pid" || failed=1; done
running=()
exit "$failed"
