"""PyTorch's side of the comparison: one case of tests/bench/cases.json, one JSON line.

    python step.py train-dna-b256 --mode eager --threads 4 --seconds 5
    python step.py --check FOLDER      compares network, gradients and update with what `engine parity FOLDER` wrote

tests/bench/README.md says what the figures mean.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import check
from network import Denoiser, scales, shaken
from paths import path_loss

CASES = pathlib.Path(__file__).parent.parent / "cases.json"
RATE = 1e-4
# largest batch of one call while sampling long sequences, so that activations stay in the caches
CHUNK = 32


def memory():
    """Resident and peak resident memory in MB."""
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def measure(seconds, work):
    """Best and median milliseconds; the same rule as tests/bench/engine/measure.rs."""
    if torch.get_default_device().type == "cuda":
        call_once, work = work, lambda: (call_once(), torch.cuda.synchronize())
    work()
    start, times = time.perf_counter(), []
    while True:
        call = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - call))
        spent = time.perf_counter() - start
        if spent >= seconds and (len(times) >= 3 or spent >= 3 * seconds):
            return {"best_ms": min(times), "median_ms": statistics.median(times), "repeats": len(times)}


def optimiser(network):
    return torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01, fused=True)


def train(case, network, compiled):
    batch, length = case["batch"], case["length"]
    z = torch.randn(batch, length, case["embedding"])
    local = torch.randn(batch, length, case["letters"]).softmax(2)
    log_snr = 6.0 * torch.rand(batch, dtype=torch.float64) - 5.0
    ids = torch.randint(case["letters"], (batch * length,))
    adamw = optimiser(network)

    @compiled
    def loss():
        return F.cross_entropy(network(z, local, log_snr).flatten(0, 1), ids)

    def step():
        adamw.zero_grad(set_to_none=True)
        loss().backward()
        adamw.step()

    return step


def rollout(case, network, compiled, recompute):
    shape = (case["batch"], case["length"], case["embedding"])
    adamw = optimiser(network)
    call = compiled(lambda x, log_snr: network(x, x.softmax(2), log_snr))
    if recompute:
        kept = call
        call = lambda x, log_snr: checkpoint(kept, x, log_snr, use_reentrant=False)
    levels = [torch.tensor([6.0 * k / case["calls"] - 5.0], dtype=torch.float64) for k in range(case["calls"])]

    def step():
        noise = torch.randn(case["calls"] + 1, *shape)
        adamw.zero_grad(set_to_none=True)
        path_loss(call, noise, levels, keep=0.95, std=0.2).backward()
        adamw.step()

    return step


def sample(case, network, compiled):
    """Ancestral steps as in src/diffusion/sample.rs; the last call reads the letters."""
    table = torch.randn(case["letters"], case["embedding"])
    table = table * (case["embedding"] ** 0.5 / table.norm(dim=1, keepdim=True))
    nodes = [-5.0 + 6.25 * k / (case["calls"] - 1) for k in range(case["calls"])]
    rows = case["batch"] if case["length"] < 100 else min(CHUNK, case["batch"])

    @compiled
    def belief(z, log_snr, factor):
        local = factor * (z @ table.T)
        return local + network(z, local.softmax(2), log_snr)

    def chunk():
        z = torch.randn(rows, case["length"], case["embedding"])
        for k, log_snr in enumerate(nodes):
            signal, noise = scales(log_snr)
            logits = belief(z, torch.tensor([log_snr], dtype=torch.float64), torch.tensor(signal / noise**2))
            if k + 1 == len(nodes):
                return logits.argmax(2)
            after, left = scales(nodes[k + 1])
            std = left / noise * (1.0 - (signal / after) ** 2) ** 0.5
            keep = (left**2 - std**2) ** 0.5 / noise
            estimate = logits.softmax(2) @ table
            z = keep * z + (after - keep * signal) * estimate + std * torch.randn_like(z)

    @torch.inference_mode()
    def draw():
        for _ in range(0, case["batch"], rows):
            chunk()

    return draw


def run(case, mode, seconds):
    start, _ = memory()
    torch.manual_seed(1)
    sizes = ("length", "letters", "embedding", "width", "layers", "heads")
    network = shaken(Denoiser(**{name: case[name] for name in sizes}))
    compiled = torch.compile if mode == "compile" else lambda function: function
    if case["kind"] == "train":
        work = train(case, network, compiled)
    elif case["kind"] == "rollout":
        work = rollout(case, network, compiled, mode == "checkpoint")
    else:
        work = sample(case, network, compiled)
    figures = measure(seconds, work)
    return {**figures, "start_mb": start, "peak_mb": memory()[1]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case", nargs="?")
    parser.add_argument("--mode", choices=["eager", "compile", "checkpoint"], default="eager")
    parser.add_argument("--label", help="what the line calls this side; the mode, unless told")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--check", metavar="FOLDER")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32", help="bf16 is autocast")
    parser.add_argument("--cases", type=pathlib.Path, default=CASES, help="a file like tests/bench/cases.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_default_device(options.device)
    torch.backends.cuda.matmul.allow_tf32 = options.dtype == "tf32"
    if options.check:
        sys.exit(check.run(pathlib.Path(options.check)))
    cases = {case["name"]: case for case in json.loads(options.cases.read_text())}
    if options.case not in cases:
        parser.error(f"no case `{options.case}`; one of {', '.join(cases)}")
    line = {
        "side": options.label or options.mode,
        "case": options.case,
        "threads": options.threads,
        "torch": torch.__version__,
    }
    if options.device != "cpu":
        line |= {"device": torch.cuda.get_device_name(), "dtype": options.dtype}
    with torch.autocast(options.device.split(":")[0], torch.bfloat16, enabled=options.dtype == "bf16"):
        line |= run(cases[options.case], options.mode, options.seconds)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
