#!/usr/bin/env python3
"""An oracle in Python, standard library only: put your own `score` in and run
seqtilt oracle check "cmd:python3 oracle.py"

Whatever is printed, by C extensions and child processes too, goes to standard error."""
import json, os, re, sys

ALPHABET = "ACGT"
LENGTH = (1, 4096)
READY = {
    "type": "ready", "protocol": 1, "name": "gc-content", "version": "1",
    "deterministic": True,  # the same sequence always has the same answer: answers are remembered
    "alphabet": ALPHABET, "length": LENGTH, "max_batch": 1024, "max_in_flight": 2,
    "outputs": [{"name": "gc", "direction": "max"}],  # "min": less is better; "noise_sd": one deviation
}


def start(hello):
    """Called once: load models here. `hello` has the seed, and under `config` what config=FILE.json holds."""


def score(sequences):
    """One answer for each sequence: a number, or a dictionary such as
    {"status": "infeasible", "reason": "premature stop"}, {"status": "failed", "retry": True, "reason": "busy"},
    {"status": "censored", "bound": {"gc": ["<", 0.1]}}, {"values": {"gc": 0.5}, "sd": {"gc": 0.02}}."""
    return [(text.count("G") + text.count("C")) / len(text) for text in sequences]


READABLE = re.compile("[%s]{%d,%d}" % (re.escape(ALPHABET), *LENGTH)).fullmatch
NAME = READY["outputs"][0]["name"]


def checked(answer):
    if isinstance(answer, dict):
        return answer
    value = float(answer)
    if value - value != 0:  # NaN and infinities cannot be written in JSON
        return {"status": "failed", "reason": f"the score is {value}"}
    return {"values": {NAME: value}}


def attempted(sequences):
    try:
        return score(sequences)
    except Exception as error:  # one bad sequence must not cost the others
        if len(sequences) == 1:
            return [{"status": "failed", "reason": repr(error)}]
        return [attempted([text])[0] for text in sequences]


def refused(text):
    if READABLE(text):
        return None
    return {"status": "infeasible", "reason": f"not {LENGTH[0]} to {LENGTH[1]} letters of {ALPHABET}"}


def main():
    wire = os.fdopen(os.dup(1), "w", encoding="ascii")  # a copy that no child process inherits
    os.dup2(2, 1)  # from here on standard output is standard error
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "hello":
            start(message)
            reply = READY
        elif message["type"] == "evaluate":
            said = {item["id"]: refused(item["seq"]) for item in message["items"]}
            good = [item for item in message["items"] if said[item["id"]] is None]
            for item, answer in zip(good, attempted([item["seq"] for item in good]), strict=True):
                said[item["id"]] = checked(answer)
            items = [{"id": name, **answer} for name, answer in said.items()]
            reply = {"type": "result", "id": message["id"], "items": items}
        else:
            if message["type"] == "quit":
                return
            continue
        wire.write(json.dumps(reply, allow_nan=False, separators=(",", ":")) + "\n")
        wire.flush()


main()
