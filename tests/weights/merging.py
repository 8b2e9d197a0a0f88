"""Merges of models of the ready zoo: how each is joined, and the true shares of its parents."""

from tools.zoo import disguises as d
from tools.zoo.ready_models import read_model

MERGES = {
    "linear": (lambda a, b, base, rng: d.linear([a, b], (0.7, 0.3)), (0.7, 0.3)),
    "slerp": (lambda a, b, base, rng: d.slerp(a, b, 0.3), (0.7, 0.3)),
    "ties": (lambda a, b, base, rng: d.ties(base, [a, b], (0.5, 0.5), 0.5), (0.5, 0.5)),
    "dare": (lambda a, b, base, rng: d.dare(base, [a, b], (0.7, 0.3), 0.5, rng), (0.7, 0.3)),
    "strangers": (lambda a, b, base, rng: d.linear([a, read_model("s1")], (0.7, 0.3)), (0.7, 0.3)),
}
