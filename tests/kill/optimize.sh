#!/bin/sh
# Kills `seqtilt optimize` with SIGKILL at moments from a seeded list, starts it again where it was, and compares the SHA-256 of
# every file with those of a run that was left alone. Needs the release build; no data beyond what is inside the program.
#
#   tests/kill/optimize.sh [SEQTILT] [PROPOSER] [KILLS] [SEED] [FURTHER OPTIONS...]
set -eu
seqtilt=${1:-target/release/seqtilt}
proposer=${2:-tilted}
kills=${3:-12}
seed=${4:-1}
[ $# -gt 4 ] && shift 4 || set --
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

case $proposer in
tilted | guided | prior | non-adaptive) prior="--prior tfbind8-prior" ;;
*) prior="" ;;
esac
# takes the place of the shell that runs it, so that what is killed is the program
start() {
    # shellcheck disable=SC2086
    exec "$seqtilt" optimize --oracle model:tfbind8-fit --proposer "$proposer" $prior --rounds 4 --batch 48 "$@"
}
run() (start "$@")
sums() { (cd "$1" && find . -type f ! -name .lock ! -name timing.json | sort | xargs sha256sum); }

begun=$(date +%s.%N)
run "$@" --out "$here/whole" >"$here/said" 2>&1 || { cat "$here/said"; exit 1; }
took=$(awk "BEGIN { print $(date +%s.%N) - $begun }")
echo "left alone: $took s"

moments=$(awk -v seed="$seed" -v n="$kills" -v took="$took" \
    'BEGIN { srand(seed); for (i = 0; i < n; i++) printf "%.3f\n", took * (0.01 + 0.6 * rand() * rand()) }')
same() {
    sums "$here/whole" >"$here/a"
    sums "$here/killed" >"$here/b"
    cmp -s "$here/a" "$here/b" || { diff "$here/a" "$here/b"; exit 1; }
}
killed=0
for moment in $moments; do
    start "$@" --out "$here/killed" >/dev/null 2>&1 &
    child=$!
    sleep "$moment"
    if kill -9 "$child" 2>/dev/null; then killed=$((killed + 1)); fi
    wait "$child" 2>/dev/null || true
    labels=$(cat "$here"/killed/rounds/*/labels.jsonl 2>/dev/null | wc -l)
    echo "killed after $moment s: $labels labels kept, $(find "$here/killed" -type f 2>/dev/null | wc -l) files"
    # come to its end in spite of it: compare, and begin anew
    if [ -e "$here/killed/done.json" ]; then
        same
        rm -rf "$here/killed"
    fi
done
run "$@" --out "$here/killed" >/dev/null 2>&1
same
echo "$killed kills, $(wc -l <"$here/a") files: all the same"
