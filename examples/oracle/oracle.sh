#!/usr/bin/env bash
# An oracle in bash, no other program needed: put your own `score` in and run
# seqtilt oracle check "cmd:bash oracle.sh"

# The protocol is descriptor 3; whatever else is printed goes to standard error.
exec 3>&1 1>&2

ready='{"type":"ready","protocol":1,"name":"gc-count","version":"1","deterministic":true,"alphabet":"ACGT"'
ready+=',"length":[1,4096],"max_batch":64,"outputs":[{"name":"gc","direction":"max"}]}'

# Sets `answer` for the sequence $1.
score() {
  if [[ $1 == *[!ACGT]* ]]; then
    answer='"status":"infeasible","reason":"letters other than ACGT"'
    return
  fi
  local found=${1//[!GC]/}
  answer="\"values\":{\"gc\":${#found}}"
}

item='^\{"id":"([^"]*)","seq":"([^"]*)"\},?'
while IFS= read -r line; do
  case $line in
  *'"type":"hello"'*) printf '%s\n' "$ready" >&3 ;;
  '{"type":"evaluate"'*)
    # always in this form, without blanks
    id=${line#*'"id":'}
    id=${id%%,*}
    rest=${line#*'"items":['}
    items=
    while [[ $rest =~ $item ]]; do
      name=${BASH_REMATCH[1]}
      rest=${rest:${#BASH_REMATCH[0]}}
      score "${BASH_REMATCH[2]}"
      items+="${items:+,}{\"id\":\"$name\",$answer}"
    done
    printf '{"type":"result","id":%s,"items":[%s]}\n' "$id" "$items" >&3
    ;;
  '{"type":"quit"'*) exit 0 ;;
  esac
done
