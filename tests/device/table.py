"""Times of one run of the device suite: ours, PyTorch's, and how many times as fast we are. python table.py times.jsonl"""

import collections
import json
import pathlib
import sys


def main():
    best = collections.defaultdict(dict)
    for text in pathlib.Path(sys.argv[1]).read_text().splitlines():
        line = json.loads(text)
        best[line["case"], line.get("dtype", "f32")][line["side"]] = line["best_ms"]
    print(f"\n{'case':<26} {'dtype':<6} {'seqtilt':>10} {'eager':>10} {'ratio':>7} {'compile':>10} {'ratio':>7}   best ms")
    for (case, dtype), sides in sorted(best.items()):
        ours = sides.get("seqtilt")
        cells = [f"{ours:>10.2f}" if ours else f"{'-':>10}"]
        for side in ("eager", "compile"):
            theirs = sides.get(side)
            cells.append(f"{theirs:>10.2f}" if theirs else f"{'-':>10}")
            cells.append(f"{theirs / ours:>7.2f}" if ours and theirs else f"{'-':>7}")
        print(f"{case:<26} {dtype:<6} {' '.join(cells)}")
    print("a ratio above 1 says how many times as fast seqtilt is")


if __name__ == "__main__":
    main()
