# Owns how our tools show progress: one line a step, its time, and what it is doing while it takes long.
# Sourced by bash. Must not know what a step does.
#
# step TITLE COMMAND...   output goes to $STEP_LOG; on failure its end is shown and the tool exits 1.

STEP_BEGIN=$(date +%s%N)
STEP_LOG=${STEP_LOG:?the caller names a log file}
mkdir -p "$(dirname "$STEP_LOG")"
: >"$STEP_LOG"

seconds_since() {
  local ns=$(($(date +%s%N) - $1))
  printf '%d.%02d' $((ns / 1000000000)) $((ns / 10000000 % 100))
}

step() {
  local title=$1 begin child last waited=0
  shift
  begin=$(date +%s%N)
  printf '==> %s\n' "$title"
  "$@" >>"$STEP_LOG" 2>&1 &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.1
    waited=$((waited + 1))
    if [ $((waited % 50)) = 0 ]; then
      last=$(tail -c 400 "$STEP_LOG" | tr '\r' '\n' | tail -n 1 | cut -c 1-100)
      printf '    %7.7s s  %s\n' "$(seconds_since "$begin")" "$last"
    fi
  done
  if ! wait "$child"; then
    printf '    FAILED after %s s; the end of %s:\n' "$(seconds_since "$begin")" "$STEP_LOG" >&2
    tail -n 40 "$STEP_LOG" >&2
    exit 1
  fi
  printf '    done in %s s\n' "$(seconds_since "$begin")"
}
