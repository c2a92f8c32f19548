"""Whether both sides compute the same: outputs, gradients, one update and the gradient through a sampler."""

import json

import torch
import torch.nn.functional as F
from safetensors import safe_open

from network import Denoiser
from paths import path_loss

# of the Euclidean length of each tensor
TOLERANCE = 1e-4


def distance(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm().clamp_min(1e-12)).item()


def group(tensors, name):
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}


def compare(path):
    """Largest relative distance in each group of tensors of one file."""
    with safe_open(path, "pt") as file:
        sizes = json.loads(file.metadata()["seqtilt"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    names = ("length", "letters", "embedding", "width", "layers", "heads")
    network = Denoiser(**{name: sizes[name] for name in names})
    network.load_state_dict(group(tensors, "weights"), strict=True)

    def worst(name, found):
        stored = group(tensors, name)
        if stored.keys() != found.keys():
            raise SystemExit(f"{path}: `{name}` has other parameters: {stored.keys() ^ found.keys()}")
        return max((distance(found[key], stored[key]), key) for key in stored)

    def gradients():
        found = {name: weight.grad.clone() for name, weight in network.named_parameters()}
        network.zero_grad(set_to_none=True)
        return found

    levels = list(tensors["path_log_snr"][:, None])
    path_loss(
        lambda x, level: network(x, x.softmax(2), level), tensors["noise"], levels, sizes["keep"], sizes["std"]
    ).backward()
    yield "path_gradients", *worst("path_gradients", gradients())

    logits = network(tensors["z"], tensors["local"], tensors["log_snr"])
    yield "logits", distance(logits, tensors["logits"]), ""
    loss = F.cross_entropy(logits.flatten(0, 1), tensors["ids"].long())
    yield "loss", distance(loss, tensors["loss"]), ""
    loss.backward()
    adamw = torch.optim.AdamW(
        network.parameters(), lr=sizes["rate"], eps=sizes["eps"], weight_decay=0.01, fused=True
    )
    adamw.step()
    yield "gradients", *worst("gradients", gradients())
    yield "updated", *worst("updated", {name: weight.detach() for name, weight in network.named_parameters()})


def run(folder):
    """Prints the distances; 1 when one is above the tolerance, or there is nothing to compare."""
    wrong, seen = False, 0
    for path in sorted(folder.glob("*.safetensors")):
        for name, value, parameter in compare(path):
            seen += 1
            wrong |= not value <= TOLERANCE
            mark = "" if value <= TOLERANCE else f"  above {TOLERANCE}"
            print(f"{path.stem:6} {name:15} {value:.1e}  {parameter}{mark}")
    return int(wrong or seen == 0)
