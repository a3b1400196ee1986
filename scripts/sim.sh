#!/usr/bin/env bash
# Tries random schedules in as many processes as there are processors, each with one: a seed's schedule repeats itself so.
# SEEDS is how many, SEED the first one; with SEEDS=1 the schedule is told in full. With DEATHS=all, first every death of a
# canonical job of each kind, and every pair of deaths for the smaller kinds. With ONLY, each schedule has that story (one of
# sim.Stories) and no other jobs.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${SEEDS:-200} seed=${SEED:-1} processes=$(nproc)
work=$(mktemp -d)
trap 'rm -rf "$work"; jobs -p | xargs -r kill 2>/dev/null' EXIT
# Many short lives: the collector and growing stacks cost more than memory does here.
export GOGC=${GOGC:-1200} GODEBUG=${GODEBUG:-adaptivestackstart=1}

if [ "${DEATHS:-}" = all ]; then
  echo "every death of a bake, a launch, a terminate and a ping; every pair of deaths of a terminate and a ping"
  STAMPMILL_DEATHS=all go test -count=1 -vet=off -timeout 30m ./internal/rig -v \
    -run '^Test(APing|ATerminate|ABake|ALaunch)Survives(ADeathAtEveryCall|EveryPairOfDeaths)$' >"$work/deaths" || { grep -v -- '--- PASS' "$work/deaths"; exit 1; }
  grep -E 'calls, [0-9]+ (mishaps|pairs)' "$work/deaths"
fi

go test -c -vet=off -o "$work/sim.test" ./internal/sim
if [ "$seeds" -eq 1 ]; then
  cd internal/sim
  exec "$work/sim.test" -test.run Random -test.v -seeds 1 -seed "$seed" -only "${ONLY:-}"
fi
[ "$seeds" -ge "$processes" ] || processes=$seeds
pids=() begin=$seed
for ((n = 0; n < processes; n++)); do
  count=$((seeds / processes + (n < seeds % processes ? 1 : 0)))
  (cd internal/sim && "$work/sim.test" -test.run Random -test.timeout 2h -seeds "$count" -seed "$begin" -only "${ONLY:-}") >"$work/$n" 2>&1 &
  pids+=($!)
  begin=$((begin + count))
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
cat "$work"/[0-9]* | grep -vE '^(schedules=|PASS$|FAIL$)' || true
cat "$work"/[0-9]* | awk -F'[= ]' '/^schedules=/ { s += $2; c += $4; f += $6; v += $8; r += $10; if (l == "" || $12 < l) l = $12 }
  END { printf "schedules=%d calls=%d faults=%d violations=%d rollouts=%d rollout-floor=%.3f\n", s, c, f, v, r, l }'
exit "$failed"
