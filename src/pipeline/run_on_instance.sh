#!/usr/bin/env bash
# Trains once on this machine, reports to S3 all the while, and switches the machine off.
#
# Runs as a systemd unit in the folder where training.tar.gz was unpacked, and wants:
#   RUN_ID, RUN_URI    the run, and s3://bucket/runs/<run-id>, which has hyperparameters.json
#   DATA_URI           s3://bucket/data/<sha256>/
#   WEIGHTS            auto, imagenet, random, or s3://bucket/weights/<sha256>/<file>
#   CHECKPOINTS_URI    s3://bucket/runs/checkpoints/<fingerprint>, of all runs with the same inputs
# It writes status.json, train.log, model/ and output/ to RUN_URI. Checkpoints are sent every half
# minute and at an interruption; a later run with the same inputs goes on from them.
set -euo pipefail

home="$HOME/kennel"
mkdir -p "$home/tmp"
export TMPDIR="$home/tmp" # pip unpacks gigabytes, and /tmp may be memory
checkpoints="$home/checkpoints/$(basename "$CHECKPOINTS_URI")"
child=""
reporter=""

# status PHASE MESSAGE: what `make train-ec2` shows and waits for.
status() {
  local message
  message=$(printf '%s' "$2" | tr -d '"\\' | tr '[:cntrl:]' ' ' | cut -c 1-300)
  printf '{"run_id": "%s", "phase": "%s", "message": "%s", "updated": "%s"}\n' \
    "$RUN_ID" "$1" "$message" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >status.json
  aws s3 cp --only-show-errors status.json "$RUN_URI/status.json"
}

phase() {
  echo "== $2"
  status "$1" "$2"
}

send_log() {
  cp train.log train.log.part # a file that grows while it is sent is refused
  aws s3 cp --only-show-errors train.log.part "$RUN_URI/train.log"
}

send_checkpoints() {
  [ ! -d "$checkpoints" ] || aws s3 sync --only-show-errors "$checkpoints" "$CHECKPOINTS_URI"
}

report() {
  local sent="" now round=0
  while sleep 3; do
    round=$((round + 1))
    [ $((round % 10)) != 0 ] || send_checkpoints || true
    now=$(wc -c <train.log)
    if [ "$now" != "$sent" ]; then
      send_log && sent=$now
    fi
  done
}

# attempt COMMAND...: in the background, so that a signal is heard while it runs.
attempt() {
  "$@" &
  child=$!
  wait "$child"
  child=""
}

finish() {
  local code=$?
  trap '' TERM INT
  trap - EXIT
  set +e
  if [ -n "$child" ]; then # training writes a checkpoint before it ends
    kill -TERM "$child" 2>/dev/null
    wait "$child"
  fi
  [ -z "$reporter" ] || kill "$reporter" 2>/dev/null
  if [ "$code" = 0 ]; then
    echo "== Done."
  elif [ "$code" = 143 ]; then
    echo "== Interrupted: the machine was told to stop."
    send_checkpoints
  else
    echo "== Failed with exit code $code."
  fi
  send_log
  if [ "$code" = 0 ]; then
    status "done" "The model is at $RUN_URI/model/"
  elif [ "$code" = 143 ]; then
    status "interrupted" "its checkpoints are at $CHECKPOINTS_URI/"
  else
    status "failed" "$(grep -v '^==' train.log | tail -n 1)"
  fi
  # After the last report, so that nothing runs on and costs when nobody is looking.
  shutdown -h now
  exit "$code"
}

# The first Python that fits the locks: the machine image's own, or the system's.
find_python() {
  local name
  for name in /opt/pytorch/bin/python python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then
      echo "$name"
      return
    fi
  done
  return 1
}

install_python() {
  if command -v dnf >/dev/null; then
    dnf install --quiet --assumeyes python3.11
  else
    apt-get update --quiet && apt-get install --quiet --yes python3.11 python3.11-venv
  fi
}

# One environment per lock, kept for the next run. What the machine image has is not fetched
# again; what it lacks comes with its hash. See pipeline/lock.py for the three files.
make_environment() {
  local python=$1 lock
  lock=$(cat requirements/*.txt | sha256sum | cut -c 1-12)
  environment="$home/environment-$lock"
  [ ! -f "$environment/complete" ] || return 0
  rm -rf "$environment"
  "$python" -m venv --system-site-packages "$environment"
  local pip=("$environment/bin/python" -m pip install --quiet --disable-pip-version-check
    --no-deps --require-hashes)
  "${pip[@]}" --no-index -r requirements/cpu.txt 2>/dev/null ||
    echo "No CPU build of torch here; taking the registry's."
  attempt "${pip[@]}" -r requirements/train.txt
  "$environment/bin/python" -c 'import torch' 2>/dev/null ||
    attempt "${pip[@]}" -r requirements/cuda.txt
  touch "$environment/complete"
}

fetch() {
  data="$home/data/$(basename "$DATA_URI")"
  attempt aws s3 sync --only-show-errors --no-progress "$DATA_URI" "$data"
  attempt aws s3 cp --only-show-errors "$RUN_URI/hyperparameters.json" hyperparameters.json
  weights=$WEIGHTS
  if [[ $WEIGHTS == s3://* ]]; then
    weights="$home/weights/$(basename "$WEIGHTS")"
    attempt aws s3 cp --only-show-errors "$WEIGHTS" "$weights"
  fi
  attempt aws s3 sync --only-show-errors --no-progress "$CHECKPOINTS_URI" "$checkpoints"
}

# One process, or one for each GPU.
train() {
  local gpus
  gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)
  local start=("$environment/bin/python")
  [ "$gpus" -lt 2 ] || start+=(-m torch.distributed.run --standalone --nproc-per-node "$gpus")
  attempt env PYTHONPATH=. PYTHONUNBUFFERED=1 WATCH_SPOT_NOTICES=1 "${start[@]}" -m training.main \
    --data "$data" --model-dir model --output-dir output --cache-dir "$home/cache" \
    --checkpoint-dir "$checkpoints" --hyperparameters hyperparameters.json --weights "$weights"
}

main() {
  trap finish EXIT
  trap 'exit 143' TERM INT
  report &
  reporter=$!
  phase installing "Installing what training needs"
  local python
  python=$(find_python) || { install_python && python=$(find_python); }
  make_environment "$python"
  phase fetching "Fetching the pictures"
  fetch
  phase training "Training"
  train
  phase uploading "Uploading the model"
  attempt aws s3 cp --recursive --only-show-errors output "$RUN_URI/output/"
  attempt aws s3 cp --recursive --only-show-errors model "$RUN_URI/model/"
}

exec >>train.log 2>&1
main
