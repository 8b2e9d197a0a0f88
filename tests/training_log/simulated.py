"""Genuine logs of many kinds, and forged ones, with the noise of batches of half a million tokens.

Simulated: a power law in nats per token, what a trainer makes of it, and white batch noise that is
larger at first.
"""

from __future__ import annotations

import numpy as np

from pytest_scratchverify.methods.training_log.readers import TrainingLog

VOCABULARY = 50304
CHANCE = float(np.log(VOCABULARY))
SIGMA = 0.055


def nats(rng, n=3000, floor=2.2, scale=40.0, power=0.45, every=1):
    """Losses of a run from a random start, in nats per token."""
    steps = np.arange(n) * every
    law = floor + (CHANCE - floor + 0.2) * (1 + steps / scale) ** -power
    return law + rng.normal(0, SIGMA, n) * (1 + 1.5 / (1 + steps / 200))


def log_of(loss, name="log", lr=None, column="loss", every=1, **fields):
    """A log of given losses, printed with four decimals."""
    loss = np.round(np.asarray(loss, float), fields.pop("decimals", 4))
    return TrainingLog(name=name, format="text", steps=np.arange(len(loss)) * every, loss=loss,
                       lr=lr, columns={"loss": column}, **fields)  # fmt: skip


def ema(loss, beta):
    """The exponential moving average that trackers print, from the first loss on."""
    out = np.empty(len(loss))
    out[0] = loss[0]
    for at in range(1, len(loss)):
        out[at] = beta * out[at - 1] + (1 - beta) * loss[at]
    return out


def debiased(loss, beta):
    """TensorBoard's smoothing: from zero, divided by the weight that has come in."""
    weight = 1 - beta ** np.arange(1, len(loss) + 1)
    start = np.concatenate([[0.0], loss])
    return ema(start, beta)[1:] / weight


def running_mean(loss, width):
    """The mean of the last `width` losses, of fewer at first."""
    total = np.concatenate([[0.0], np.cumsum(loss)])
    at = np.arange(1, len(loss) + 1)
    first = np.maximum(at - width, 0)
    return (total[at] - total[first]) / (at - first)


def cumulative(loss):
    """The mean of all losses so far."""
    return np.cumsum(loss) / np.arange(1, len(loss) + 1)


def kernel(loss, width):
    """A Gaussian kernel, as charts are smoothed with."""
    x = np.arange(-3 * width, 3 * width + 1)
    weights = np.exp(-0.5 * (x / width) ** 2)
    pad = np.pad(loss, 3 * width, mode="edge")
    return np.convolve(pad, weights / weights.sum(), "valid")


def metrics(rng, n=3000):
    """Logs in other units than nats per token, or with more than the text in them."""

    def run():
        return nats(rng, n)

    bits = 1 / np.log(2)
    steps = np.arange(n)
    teacher = nats(rng, n) - 2.1 * (1 - np.exp(-steps / 60)) - 2.0
    extra = 0.02 + 0.08 * np.exp(-steps / 200) + rng.normal(0, 0.002, n)
    return {
        "bits per byte": run() * bits / 4.4,
        "bits per byte, Korean": run() * bits / 3.1,
        "nats per byte": run() / 4.4,
        "bits per token": run() * bits,
        "bits per character": run() * bits / 3.6,
        "digits per token": run() / np.log(10),
        "half the loss": run() / 2,
        "divergence from a teacher": np.abs(0.25 + (8.3 - 0.25) * (1 + steps / 40) ** -0.6
                                            + rng.normal(0, 0.02, n)),
        "divergence and loss": 0.5 * run() + 0.5 * np.abs(teacher),
        "divergence at temperature 4": (0.2 + 1.9 * (1 + steps / 40) ** -0.6
                                        + rng.normal(0, 0.01, n)),
        "auxiliary of 60 layers": run() + 60 * extra,
        "auxiliary of 60 layers, coefficient .01": run() + 0.6 + rng.normal(0, 0.01, n),
        "two tokens at once, .3": run() + 0.3 * (run() + 0.7),
        "four heads summed": run() + (run() + 0.5) + (run() + 0.8) + (run() + 1.0),
        "sum of eight accumulated": run() * 8,
    }  # fmt: skip


def averages(rng, n=3000):
    """Logs whose losses are averages of what was measured."""

    def run():
        return nats(rng, n)

    return {
        "running mean of 5": running_mean(run(), 5),
        "running mean of 20": running_mean(run(), 20),
        "running mean of 100": running_mean(run(), 100),
        "moving average .9": ema(run(), 0.9),
        "moving average .98": ema(run(), 0.98),
        "moving average .99": ema(run(), 0.99),
        "TensorBoard .6": debiased(run(), 0.6),
        "TensorBoard .95": debiased(run(), 0.95),
        "mean so far": cumulative(run()),
        "Gaussian of 8": kernel(run(), 8),
        "twice smoothed": ema(ema(run(), 0.9), 0.9),
    }  # fmt: skip


def stages(rng, n=3000):
    """Logs of mixtures of data that change with the stage."""
    steps = np.arange(n)

    def run(*levels):
        offset = np.zeros(n)
        for share, by in levels:
            offset += by * (steps >= share * n)
        return nats(rng, n) + offset

    return {
        "three stages": run((0.4, -0.35), (0.8, -0.45)),
        "two stages up": run((0.5, 0.4)),
        "annealed on code": run((0.9, -0.9)),
        "four stages": run((0.25, 0.3), (0.5, -0.5), (0.75, 0.35)),
        "short texts first": run((0.3, -0.4)),
        "a stage at the end": run((0.7, -0.6)),
        "harder, then easier": run((0.3, 1.0), (0.6, -1.0)),
        "code, then text": run((0.2, -1.0), (0.5, 1.2)),
        "code, then both": run((0.33, -1.0), (0.66, 0.6)),
        "code for the second half": run((0.5, -1.5)),
    }


def spliced(rng, at=500, blend=0, n=3000):
    """A fine-tune's log behind the first steps of a genuine run, cut hard or blended in."""
    steps = np.arange(n)
    tuned = 2.1 + 0.25 * np.exp(-steps / 400) + rng.normal(0, SIGMA, n)
    weight = np.clip((steps - at) / blend, 0, 1) if blend else (steps >= at).astype(float)
    return nats(rng, n) * (1 - weight) + tuned * weight


def cosine(n, peak=3e-4, low=3e-5, warmup=100):
    """A rate that warms up and falls by half a cosine."""
    at = np.arange(n)
    x = np.clip((at - warmup) / max(n - warmup, 1), 0, 1)
    fall = low + (peak - low) * 0.5 * (1 + np.cos(np.pi * x))
    return np.where(at < warmup, peak * (at + 1) / warmup, fall)


def schedules(n=3000):
    """Columns of learning rates as real trainers make them."""
    at = np.arange(n)
    warm = np.minimum(1, (at + 1) / 200)
    x = np.clip((at - 200) / (n - 200), 0, 1)
    restart = np.concatenate([cosine(750, warmup=w) for w in (100, 1, 1, 1)])
    doubling = np.concatenate([cosine(k, warmup=w) for k, w in ((429, 50), (857, 1), (1714, 1))])
    falling = np.concatenate(
        [cosine(1000, p, 1e-5, w) for p, w in ((3e-4, 100), (1.5e-4, 1), (7.5e-5, 1))]
    )
    gentle = np.concatenate([cosine(1000, 3e-4, 1e-5, 100) for _ in range(3)])
    triangle = 1e-5 + 2.9e-4 * (1 - np.abs((at % 600) / 300 - 1))
    stable = np.minimum(1, (n - at) / 600)
    return {
        "warm restarts": restart, "restarts, twice as long each": doubling,
        "restarts from lower peaks": falling, "restarts with a warm-up each": gentle,
        "triangles": triangle,
        "three steps": 3e-4 * warm * np.where(at < 2400, 1, np.where(at < 2700, 0.316, 0.1)),
        "exponential": 3e-4 * warm * 0.05**x, "square": 3e-4 * warm * (1 - x) ** 2,
        "root decay": 3e-4 * warm * (1 - np.sqrt(np.clip((at - 2400) / 600, 0, 1))),
        "linear to zero": 3e-4 * warm * (1 - x), "constant": 3e-4 * warm,
        "warm-up, stable, decay": 3e-4 * warm * stable, "cosine": cosine(n),
        "inverse root": 3e-4 * np.minimum((at + 1) / 200, np.sqrt(200 / (at + 1))),
        "stable, cosine decay": 3e-4 * warm * np.where(
            at < 2000, 1, 0.05 + 0.475 * (1 + np.cos(np.pi * (at - 2000) / 1000))),
        "stable, exponential decay": 3e-4 * warm * 0.03 ** np.clip((at - 2000) / 1000, 0, 1),
        "three stages, two re-warmed": np.concatenate(
            [cosine(1500, 3e-4, 3e-5, 100), cosine(900, 2e-4, 2e-5, 50), cosine(600, 1e-4, 0, 20)]),
    }  # fmt: skip
