"""Settings of tokenizers: special tokens, pre-tokenizer, normaliser, chat template, scripts.

All of it is copied freely with a library or a chat format. It can raise a question and
never answers one: none of these findings accuses or clears.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis

if TYPE_CHECKING:
    from pytest_scratchverify.tokenizer.compare import Vocabulary
    from pytest_scratchverify.tokenizer.sketch import Sketch
    from pytest_scratchverify.tokenizer.vocabulary import Tokenizer

RARE = 0.1  # a special token that this share of catalogued vocabularies has is a convention
RARE_SHARED = 3  # one rare name may be chance
SHOWN = 12
KIND = "surroundings"  # what run.json calls these settings


class Shared(StrEnum):
    """Which settings of two tokenizers could be compared."""

    SPECIAL_TOKENS = "special tokens"
    SETTINGS = "settings"
    NOTHING_STATED = "nothing stated"


HEADLINES: Mapping[Shared, str] = {
    Shared.SPECIAL_TOKENS: "{both} special or added tokens are shared with {reference}, {rare} of"
    " them rare. Names are copied with chat formats and say nothing about the weights.",
    Shared.SETTINGS: "{equal} of {known} stated settings equal {reference}'s ({which}). They are"
    " copied with libraries and say nothing about the weights.",
    Shared.NOTHING_STATED: "Neither splitting pattern nor template can be compared with"
    " {reference}'s: a file does not state them.",
}


def special_tokens(suspect: Vocabulary, reference: Vocabulary) -> Finding:
    """Compare the names of special tokens, conventions left out.

    Names that many vocabularies have (``<s>``, ``<|im_start|>``) are conventions and do not
    count. Several rare names in common are a lead, not evidence.
    """
    from pytest_scratchverify.tokenizer.compare import shared_names  # noqa: PLC0415

    both, jaccard = shared_names(suspect.added, reference.added)
    rare = [name for name in both if _rarity(name, reference) <= RARE]
    tested = _hypothesis(
        "tokenizer.special_tokens",
        suspect,
        reference,
        Text("Special tokens are conventions or the developer's own."),
    )
    lead = len(rare) >= RARE_SHARED
    return tested.finding(
        _outcome(lead=lead, applies=bool(suspect.added and reference.added)),
        Text(
            HEADLINES[Shared.SPECIAL_TOKENS],
            both=len(both),
            reference=reference.name,
            rare=len(rare),
        ),
        kinds=(KIND,),
        direction=Direction.TOWARD_REUSE if lead else Direction.NONE,
        statistic=Statistic(name="special_jaccard", value=jaccard, n=len(both)),
        details={
            "shared": [*both[:SHOWN]],
            "rare": [*rare[:SHOWN]],
            "same_ids": sum(suspect.added[name] == reference.added[name] for name in both),
            "own": [*sorted(set(suspect.added) - set(reference.added))[:SHOWN]],
        },
    )


def _rarity(name: str, reference: Vocabulary) -> float:
    """The share of catalogued vocabularies, other than the reference, that have the name."""
    from pytest_scratchverify.tokenizer.sketch import load_sketches  # noqa: PLC0415

    others: list[Sketch] = [s for s in load_sketches() if s.digest != reference.digest]
    return sum(name in sketch.added for sketch in others) / max(1, len(others))


def pre_tokenizer(suspect: Vocabulary, reference: Vocabulary) -> Finding:
    """Compare pre-tokenizer pattern, normaliser, byte fallback and chat template.

    A pattern comes with a library; an identical chat template is a lead. What a file format
    does not state is left out.
    """
    from pytest_scratchverify.tokenizer.compare import same_trait  # noqa: PLC0415

    names = ("pre_tokenizer", "normalizer", "byte_fallback", "chat_template")
    same = {n: same_trait(getattr(suspect.traits, n), getattr(reference.traits, n)) for n in names}
    known = [value for value in same.values() if value is not None]
    tested = _hypothesis(
        "tokenizer.pre_tokenizer",
        suspect,
        reference,
        Text("What surrounds the vocabulary is a library's or the developer's own."),
    )
    lead = same["chat_template"] is True
    return tested.finding(
        _outcome(lead=lead, applies=bool(known)),
        Text.filled(
            HEADLINES[Shared.SETTINGS if known else Shared.NOTHING_STATED],
            {
                "equal": sum(known),
                "known": len(known),
                "reference": reference.name,
                "which": [name for name in names if same[name]] or ["-"],
            },
        ),
        kinds=(KIND,),
        direction=Direction.TOWARD_REUSE if lead else Direction.NONE,
        statistic=Statistic(
            name="equal_settings", value=sum(known) / len(known) if known else None, n=len(known)
        ),
        details={**same},
    )


def script_profile(suspect: Tokenizer | Sketch) -> Finding:
    """Describe the scripts of a vocabulary, and its tokens per Korean syllable.

    Read beside the catalogue's range. A vocabulary made for Korean is no proof that it was
    made from nothing: cl100k with Korean tokens added has the same profile.
    """
    from pytest_scratchverify.tokenizer import korean  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.sketch import Sketch, load_sketches  # noqa: PLC0415

    if isinstance(suspect, Sketch):  # measured when the sketch was taken
        scripts, cost = suspect.scripts, suspect.tokens_per_syllable
    else:
        scripts, cost = korean.script_profile(suspect), korean.korean_cost(suspect)
    known = [sketch.tokens_per_syllable for sketch in load_sketches()]
    return Hypothesis(
        method="tokenizer.script_profile",
        component=Component.TOKENIZER,
        model=suspect.name,
        statement=Text("None: a description."),
        dependence_group="tokenizer.scripts",
    ).finding(
        Outcome.CONSISTENT,
        Text(
            "{hangul} % of learnt tokens hold Hangul and a Korean syllable costs {cost} tokens,"
            " no more than in {better} of {known} catalogued vocabularies. This describes the"
            " vocabulary and says nothing about its origin or the weights.",
            hangul=round(100 * scripts["hangul"], 2),
            cost=round(cost, 3),
            better=sum(cost <= other for other in known),
            known=len(known),
        ),
        level=Level.E2,
        kinds=("description",),
        statistic=Statistic(name="hangul_share", value=scripts["hangul"], n=suspect.keys.size),
        effect=Statistic(name="tokens_per_korean_syllable", value=cost),
        details={"scripts": {name: round(share, 5) for name, share in scripts.items()}},
    )


def _hypothesis(
    method: str, suspect: Vocabulary, reference: Vocabulary, statement: Text
) -> Hypothesis:
    return Hypothesis(
        method=method,
        component=Component.TOKENIZER,
        model=suspect.name,
        reference=reference.name,
        statement=statement,
        level=Level.E2,
        dependence_group="tokenizer.surroundings",
    )


def _outcome(*, lead: bool, applies: bool) -> Outcome:
    if not applies:
        return Outcome.NOT_APPLICABLE
    return Outcome.INDETERMINATE if lead else Outcome.CONSISTENT
