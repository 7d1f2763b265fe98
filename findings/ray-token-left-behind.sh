#!/usr/bin/env bash
# Ray: one local `ray.init()` leaves a token in ~/.ray, and from then on a cluster of `ray start --head` cannot be joined.
#
# What a good guess says: `ray start --head` prints the commands that join the cluster, `ray start --address=…` and
# `ray.init(address=…)`, and for the same user on the same machine they work, whatever was run before.
# What happens: a local `ray.init()` (a script, a notebook, a test) writes ~/.ray/auth_token and leaves it there. With this
# file `ray start --head` turns on token authentication by itself. `ray start --address` and `ray.init(address=…)` find the
# same file and do not: they are turned away, retry, and report after some 20 s that they failed to connect, which reads
# like a network that is down. Before the first local `ray.init()` the same three commands work.
# Whom it hurts: whoever tries a job with a local `ray.init()` first, and then starts a cluster for it.
# What to do: export RAY_AUTH_MODE=token on every machine, with the same ~/.ray/auth_token, before `ray start` and the driver.
#
# Needs Linux and 2 GB of memory; everything is on this machine, in a temporary folder that is also the home.
# Exits with 0 if this is so, with 1 if it is not any more.
set -euo pipefail
work=$(mktemp -d)
python=${PYTHON:-python3.11}
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet ray==2.60.0
export HOME="$work" RAY_TMPDIR="$work" RAY_USAGE_STATS_ENABLED=0 PATH="$work/venv/bin:$PATH"
unset RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH RAY_ADDRESS
heads=()
trap 'for head in "${heads[@]}"; do kill "$head" 2> /dev/null || true; done; sleep 3; rm -rf "$work"' EXIT
python -c "import ray, sys; print('ray', ray.__version__, 'Python', sys.version.split()[0])"

start_head() {  # PORT
    ray start --head --port="$1" --num-cpus=1 --include-dashboard=false --block > "$work/head-$1" 2>&1 &
    heads+=($!)
    until grep -q "Ray runtime started" "$work/head-$1"; do sleep 0.5; done
}

join() {  # PORT
    python - "$1" << 'PYTHON' 2> /dev/null
import sys, time, ray
began = time.monotonic()
try:
    ray.init(address=f"127.0.0.1:{sys.argv[1]}", log_to_driver=False, logging_level="ERROR")
    print("joined")
except ConnectionError as error:
    print(f"ConnectionError after {time.monotonic() - began:.0f} s: {error}")
PYTHON
}

start_head 6391
before=$(join 6391)
echo "before: $before"
kill "${heads[0]}" && wait "${heads[0]}" || true
rm -f "$work/ray/ray_current_cluster"  # as on a machine where no cluster was started yet
python -c "import ray; ray.init(num_cpus=1, include_dashboard=False, logging_level='ERROR')" > /dev/null 2>&1
echo "a local ray.init() has left: $(ls "$HOME/.ray")"
start_head 6392
after=$(join 6392)
echo "after:  $after"
with=$(RAY_AUTH_MODE=token join 6392)
echo "with RAY_AUTH_MODE=token: $with"
if [ "$before" = joined ] && [[ "$after" == ConnectionError* ]] && [ "$with" = joined ]; then
    echo "As described."
    exit 0
fi
echo "This has changed." >&2
exit 1
