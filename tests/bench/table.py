"""Markdown tables of the JSON lines of one run of tests/bench/compare."""

import argparse
import collections
import json
import math
import pathlib
import platform

CASES = pathlib.Path(__file__).parent / "cases.json"
OURS = "seqtilt"


def forward_operations(case):
    """Floating-point operations of the matrix products of one call of the denoiser."""
    length, width, letters = case["length"], case["width"], case["letters"]
    a_letter = width * (case["embedding"] + letters) + width * letters
    a_letter += case["layers"] * (12 * width * width + 2 * length * width)
    a_row = 2 * width * width + case["layers"] * 6 * width * width
    return 2 * case["batch"] * (length * a_letter + a_row)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(value, digits=1):
    return "—" if value is None else f"{value:.{digits}f}"


def times(value):
    return "—" if value is None else f"{value:.2f}×"


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


class Results:
    def __init__(self, lines):
        self.best, self.memory, self.peak, self.hashes = {}, {}, {}, {}
        self.method, self.torch, self.sides, self.load = "", "", [], ""
        for line in lines:
            if line["case"] == "load":
                self.load = f"load {line['mean']} on {line['cores']} cores when the run began"
            elif line["case"] == "peak":
                self.peak[line["threads"]] = max(line["gflops"], self.peak.get(line["threads"], 0.0))
                self.method = line["method"]
            elif line["case"] == "bytes":
                self.hashes[line["threads"]] = line["hash"]
            else:
                key = (line["case"], line["side"], line["threads"])
                self.best[key] = min(line["best_ms"], self.best.get(key, math.inf))
                if line["peak_mb"] is not None:
                    own = (line["peak_mb"], line["peak_mb"] - line["start_mb"])
                    self.memory[key] = max(own, self.memory.get(key, (0.0, 0.0)))
                self.torch = line.get("torch", self.torch)
                if line["side"] != OURS and line["side"] not in self.sides:
                    self.sides.append(line["side"])

    def ratio(self, case, side, threads):
        ours, theirs = self.best.get((case, OURS, threads)), self.best.get((case, side, threads))
        return theirs / ours if ours and theirs else None


def train(results, cases, threads):
    sides = [side for side in results.sides if side != "checkpoint"]
    peak = results.peak.get(threads)
    print(f"Train step: forward, backward, AdamW; best of many in ms, {threads} threads. In brackets: how many times")
    print("as fast seqtilt is.\n")
    rows, ratios, shares = [], collections.defaultdict(list), collections.defaultdict(list)
    for case in cases:
        row, share = [case["name"].removeprefix("train-")], []
        row.append(number(results.best.get((case["name"], OURS, threads))))
        for side in sides:
            ratio = results.ratio(case["name"], side, threads)
            row.append(f"{number(results.best.get((case['name'], side, threads)))} ({times(ratio)})")
            ratios[side] += [ratio] if ratio else []
        for side in [OURS, *sides]:
            best = results.best.get((case["name"], side, threads))
            if best and peak:
                shares[side].append(3 * forward_operations(case) / (best * 1e6) / peak)
                share.append(f"{100 * shares[side][-1]:.0f}")
            else:
                share.append("—")
        rows.append([*row, " / ".join(share)])
    means = [f"({times(geometric_mean(ratios[side]))})" for side in sides]
    mean_shares = [geometric_mean(shares[side]) for side in [OURS, *sides]]
    mean_shares = " / ".join("—" if share is None else f"{100 * share:.0f}" for share in mean_shares)
    table(
        ["", OURS, *sides, f"% of peak ({' / '.join([OURS, *sides])})"],
        [*rows, ["geometric mean", "", *means, mean_shares]],
    )
    if peak:
        print(f"Peak: {peak:.0f} GF/s on {threads} threads, {results.method}. A step counts as three times the matrix")
        print("products of its forward pass.\n")


def rollouts(results, cases, threads):
    for case in cases:
        print(f"{case['name']}: gradient through {case['calls']} steps and update, {threads} threads. seqtilt keeps")
        print("the activations of the last 14 steps and computes the others again; PyTorch keeps all, or none as `checkpoint`.\n")
        rows = []
        for side in [OURS, *results.sides]:
            key = (case["name"], side, threads)
            if key in results.best:
                peak, own = results.memory.get(key, (None, None))
                ratio = times(results.ratio(*key)) if side != OURS else ""
                rows.append([side, number(results.best[key], 0), ratio, number(peak, 0), number(own, 0)])
        table(["", "ms", "seqtilt is faster", "peak MB", "of it by the work"], rows)


def samples(results, cases, threads):
    print(f"Sampling with 50 calls of the network, sequences a second, {threads} threads.\n")
    sides = [side for side in results.sides if side != "checkpoint"]
    rows, ratios = [], collections.defaultdict(list)
    for case in cases:
        best = results.best.get((case["name"], OURS, threads))
        row = [case["name"].removeprefix("sample-"), number(1e3 * case["batch"] / best if best else None)]
        for side in sides:
            best, ratio = results.best.get((case["name"], side, threads)), results.ratio(case["name"], side, threads)
            row.append(f"{number(1e3 * case['batch'] / best if best else None)} ({times(ratio)})")
            ratios[side] += [ratio] if ratio else []
        rows.append(row)
    means = [f"({times(geometric_mean(ratios[side]))})" for side in sides]
    table(["", OURS, *sides], [*rows, ["geometric mean", "", *means]])


def scaling(results, cases, threads):
    print(f"Strong scaling of the train step, ms, and speed-up from 1 to {threads} threads.\n")
    rows, gains = [], collections.defaultdict(list)
    for case in cases:
        row = [case["name"].removeprefix("train-")]
        for side, counts in [(OURS, sorted({1, 2, threads})), ("eager", sorted({1, threads}))]:
            times_ms = [results.best.get((case["name"], side, count)) for count in counts]
            gain = times_ms[0] / times_ms[-1] if times_ms[0] and times_ms[-1] else None
            row += [*map(number, times_ms), times(gain)]
            gains[side] += [gain] if gain else []
        rows.append(row)
    ours = [f"{OURS}, {count} threads" for count in sorted({1, 2, threads})]
    eager = [f"eager, {count} threads" for count in sorted({1, threads})]
    mean = [times(geometric_mean(gains[side])) for side in (OURS, "eager")]
    blank = ["geometric mean", *[""] * len(ours), mean[0], *[""] * len(eager), mean[1]]
    table(["", *ours, "speed-up", *eager, "speed-up"], [*rows, blank])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    results = Results([json.loads(line) for line in options.lines.read_text().splitlines()])
    cases = collections.defaultdict(list)
    for case in json.loads(CASES.read_text()):
        if any(key[0] == case["name"] for key in results.best):
            cases[case["kind"]].append(case)
    print(f"PyTorch {results.torch}, {processor()}, {results.load}\n")
    for kind, show in [("train", train), ("rollout", rollouts), ("sample", samples)]:
        if cases[kind]:
            show(results, cases[kind], options.threads)
    if any(key[1:] == (OURS, 1) for key in results.best) and options.threads > 1:
        scaling(results, cases["train"], options.threads)
    if results.hashes:
        same = "the same bytes" if len(set(results.hashes.values())) == 1 else "DIFFERENT BYTES"
        print(f"Trained weights on {', '.join(map(str, sorted(results.hashes)))} threads: {same}.")


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
