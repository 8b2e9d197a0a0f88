"""Training compute: floating-point operations (6 N D) and hardware utilisation."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ComputeBudget:
    """Floating-point operations needed, those the hardware could do, and their ratio."""

    needed: float
    possible: float | None
    utilisation: float | None
    tokens_per_parameter: float


def training_flops(parameters: float, tokens: float) -> float:
    """Six operations per parameter and token: two forward, four backward.

    ``6 N D`` with N the parameters a token passes (the *active* ones of a mixture of
    experts), attention left out, which adds up to a third at long contexts (Kaplan et al.
    2020, section 2.1).
    """
    return 6.0 * parameters * tokens


def compute_budget(
    parameters: float, tokens: float, gpu_hours: float | None, peak: float | None
) -> ComputeBudget:
    """Which share of the hardware's peak the claimed training used.

    ``utilisation = 6 N D / (GPU hours * 3600 * peak FLOP/s)``. Over one is impossible, over
    .65 unheard of for dense BF16 training (Chowdhery et al. 2022: PaLM 46 %); low values mean
    that the hours paid for more than this run. It can falsify a declaration, never prove an
    origin. Tokens per parameter stands beside 20 (Hoffmann et al. 2022).
    """
    needed = training_flops(parameters, tokens)
    possible = gpu_hours * SECONDS * peak if gpu_hours and peak else None
    return ComputeBudget(
        needed, possible, needed / possible if possible else None, tokens / parameters
    )
