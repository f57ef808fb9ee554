#!/bin/bash
# Runs a small devnet whose rounds nobody keeps, stakes, earns and votes on it by the commands of docs/staking.md, and writes what was
# typed and said to docs/staking-transcript.md. Needs livemesh (LIVEMESH=path) and python3; takes about seven minutes.
set -u
cd "$(dirname "$0")/.."
LIVEMESH=$(realpath "${LIVEMESH:-target/release/livemesh}")
OUT=${OUT:-$(realpath docs)/staking-transcript.md}
DIR=$(mktemp -d)
cd "$DIR" || exit 1
export LIVEMESH_DATA_DIR="$DIR/data" LIVEMESH_CHAIN_NETWORK="$DIR/devnet.json" LIVEMESH_CHAIN_ACCEPT=sequenced:1 LIVEMESH_LOG=error
export LIVEMESH_PASSWORD=devnet
umask 077
BLOCKS=${BLOCKS:-120}

"$LIVEMESH" devnet --port 0 --orchestrators 0 --no-keeper --slot-time 200ms --round-length "$BLOCKS" --json >devnet.json 2>devnet.log &
DEVNET=$!
trap 'kill $DEVNET; wait $DEVNET 2>/dev/null; rm -rf "$DIR"' EXIT
for _ in $(seq 300); do python3 -c 'import json; json.load(open("devnet.json"))' 2>/dev/null && break; sleep 0.2; done

fail() { echo "transcript: $1" >&2; exit 1; }
: >"$DIR/transcript"
say() { printf '%s\n\n' "$*" >>"$DIR/transcript"; }
# Types a command into the transcript and runs it. Where the round turned meanwhile, it is begun and the command typed again.
run() {
  local said typed
  for _ in 1 2 3 4 5; do
    if said=$("$LIVEMESH" "$@" 2>&1); then
      typed=$(printf '%q ' "$@")
      { echo "    \$ livemesh ${typed% }"; sed "s#$DIR/##g; s/^/    /" <<<"$said"; echo; } >>"$DIR/transcript"
      return 0
    fi
    echo "again: livemesh $*: $said" >&2
    "$LIVEMESH" round --from "$A" --yes init >/dev/null 2>&1
    sleep 1
  done
  fail "livemesh $*: $said"
}
field() { python3 -c "import json,sys; v=json.load(sys.stdin); print($1)"; }
round() { "$LIVEMESH" round show --json | field 'v["round"]["round"]["number"]'; }
state() { "$LIVEMESH" vote show "$1" --json | field 'v["state"]'; }
# Waits for round $1.
reach() { until [ "$(round)" -ge "$1" ]; do sleep 1; done; }
# Waits until proposal $1 is $2.
become() { until [ "$(state "$1")" = "$2" ]; do sleep 1; done; }

# The devnet's first four free accounts are two orchestrators, a delegator, and somebody who is to be paid.
read -r A B D P < <(python3 - <<'P'
import json
found = [a for a in json.load(open("devnet.json"))["ready"]["accounts"] if a["role"] == "account"][:4]
for n, account in enumerate(found):
    open(f"key{n}", "w").write(account["secret"].removeprefix("0x"))
print(*[account["address"] for account in found])
P
)
[ -n "${P:-}" ] || fail "the devnet names no accounts"

say "The chain, in a terminal of its own; it prints its free accounts, whose keys go into the files \`key0\` to \`key3\`:"
say "    \$ livemesh devnet --port 0 --orchestrators 0 --no-keeper --slot-time 200ms --round-length $BLOCKS --json >devnet.json"
say "In another one, what does not change from command to command:"
say "    \$ export LIVEMESH_DATA_DIR=data LIVEMESH_CHAIN_NETWORK=devnet.json LIVEMESH_CHAIN_ACCEPT=sequenced:1 LIVEMESH_PASSWORD=devnet"
say "## Two orchestrators and a delegator"
for n in 0 1 2 3; do run stake keys import "key$n"; done
run round show
reach $(($(round) + 1))
run round --from "$A" --yes init
run stake --from "$A" --yes register 1000LPT --reward-cut 10% --fee-share 50% --service-uri https://one.example:8935
reach $(($(round) + 1))
run round --from "$A" --yes init
run stake --from "$B" --yes register 500LPT --reward-cut 20% --fee-share 40% --service-uri https://two.example:8935
run stake --from "$D" --yes bond 250LPT --to "$A"
say "## Three rounds of rewards"
FIRST=$(round)
for n in 1 2 3; do
  reach $((FIRST + n))
  run round --from "$A" --yes init
  run reward --from "$A" --yes call
  run reward --from "$B" --yes call
done
run stake status "$D"
say "## Stake on its way out"
run stake --from "$D" --yes unbond 50LPT
UNBONDED=$(round)
say "## A payment out of the treasury"
WHY="Ten tokens for who wrote the documentation"
run vote --from "$A" --yes propose --to "$P" --lpt 10LPT --description "$WHY"
ID=$("$LIVEMESH" vote list --json | field 'v["proposals"][0]["proposal"]')
become "$ID" active
run vote --from "$A" --yes cast "$ID" for
run vote --from "$D" --yes cast "$ID" against --reason "Twenty would be fair"
run vote --from "$D" show "$ID"
reach $((UNBONDED + 7))
say "## Withdrawal, while the vote runs"
run round --from "$A" --yes init
run stake --from "$D" --yes withdraw stake 0
run stake status "$D"
say "## The vote is over"
become "$ID" succeeded
run vote --from "$B" --yes queue "$ID"
run vote --from "$B" --yes execute "$ID"
run vote list
say "The ten tokens are there, as who tries to stake them sees:"
run round --from "$A" --yes init
run stake --from "$P" --dry-run bond 10LPT --to "$A"

{ echo "# Staking, as typed"; echo
  echo "Made by \`scripts/transcript-staking.sh\` on a devnet whose rounds nobody keeps; it waits for rounds between commands."; echo
  cat "$DIR/transcript"; } >"$OUT"
echo "wrote $OUT"
