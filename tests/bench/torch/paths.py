"""The sampler of tests/bench/engine/rollout.rs."""


def path_loss(call, noise, levels, keep, std):
    """Mean of ½|x_K − 1|² + Σ ½|u|² over paths x ← keep·x + std·(u + ε), where u is the network's answer."""
    x, cost = noise[0], 0.0
    for epsilon, level in zip(noise[1:], levels, strict=True):
        u = call(x, level)
        cost = cost + 0.5 * u.square().sum()
        x = keep * x + std * (u + epsilon)
    return (0.5 * (x - 1.0).square().sum() + cost) / x.shape[0]
