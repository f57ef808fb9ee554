#!/bin/bash
# Runs a small devnet whose rounds nobody keeps, stakes and earns on it by the commands of docs/staking.md, and writes what was typed
# and said to docs/staking-transcript.md. Needs livemesh (LIVEMESH=path) and python3; takes about three minutes.
set -u
cd "$(dirname "$0")/.."
LIVEMESH=$(realpath "${LIVEMESH:-target/release/livemesh}")
OUT=$(realpath docs)/staking-transcript.md
DIR=$(mktemp -d)
cd "$DIR" || exit 1
export LIVEMESH_DATA_DIR="$DIR/data" LIVEMESH_CHAIN_NETWORK="$DIR/devnet.json" LIVEMESH_CHAIN_ACCEPT=sequenced:1 LIVEMESH_LOG=error
umask 077
echo devnet >password

"$LIVEMESH" devnet --port 0 --orchestrators 0 --no-keeper --slot-time 200ms --round-length 50 --json >devnet.json 2>devnet.log &
DEVNET=$!
trap 'kill $DEVNET; wait $DEVNET 2>/dev/null; rm -rf "$DIR"' EXIT
for _ in $(seq 100); do python3 -c 'import json; json.load(open("devnet.json"))' 2>/dev/null && break; sleep 0.2; done

fail() { echo "transcript: $1" >&2; exit 1; }
: >"$DIR/transcript"
# Types a command into the transcript and runs it; tried again while the state that it is proven from is a moment behind.
run() {
  local said
  for _ in 1 2 3 4 5; do
    if said=$("$LIVEMESH" "$@" 2>&1); then
      { echo "    \$ livemesh $(printf '%q ' "$@")"; sed 's/^/    /' <<<"$said"; echo; } >>"$DIR/transcript"
      return 0
    fi
    # The round may have turned meanwhile.
    "$LIVEMESH" round --password-file password --from "$A" --yes init >/dev/null 2>&1
    sleep 1
  done
  fail "livemesh $*: $said"
}
round() { "$LIVEMESH" round show --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["round"]["round"]["number"])'; }
# Waits for round $1 and begins it, unless somebody has.
reach() { until [ "$(round)" -ge "$1" ]; do sleep 1; done; "$LIVEMESH" round --password-file password --from "$A" --yes init >/dev/null 2>&1; }

# The devnet's first three free accounts are two orchestrators and a delegator.
read -r A B D < <(python3 - <<'P'
import json
found = [a for a in json.load(open("devnet.json"))["ready"]["accounts"] if a["role"] == "account"][:3]
for n, account in enumerate(found):
    open(f"key{n}", "w").write(account["secret"].removeprefix("0x"))
print(*[account["address"] for account in found])
P
)
[ -n "${D:-}" ] || fail "the devnet names no accounts"
for n in 0 1 2; do run stake --password-file password keys import "key$n"; done
run round show
run round --password-file password --from "$A" --yes init
run stake --password-file password --from "$A" --yes register 1000LPT --reward-cut 10% --fee-share 50% --service-uri https://one.example:8935
run stake --password-file password --from "$B" --yes register 500LPT --reward-cut 20% --fee-share 40% --service-uri https://two.example:8935
run stake --password-file password --from "$D" --yes bond 250LPT --to "$A"
FIRST=$(round)
for n in 1 2 3; do
  reach $((FIRST + n))
  run reward --password-file password --from "$A" --yes call
  run reward --password-file password --from "$B" --yes call
done
run stake status "$D"
run stake --password-file password --from "$D" --yes unbond 50LPT
UNBONDED=$(round)
reach $((UNBONDED + 7))
run stake --password-file password --from "$D" --yes withdraw stake 0
run stake status "$D"

{ echo "# Staking, as typed"; echo
  echo "Made by \`scripts/transcript-staking.sh\` on a devnet whose rounds nobody keeps."; echo
  cat "$DIR/transcript"; } >"$OUT"
echo "wrote $OUT"
