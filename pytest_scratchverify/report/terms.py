"""The words that reports use for what methods name by identifiers: statistics, relations, sources.

An identifier of a foreign run, or of a method of a third party, is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.core.evidence import Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.wording import COMPONENT_NAMES

STATISTIC_WORDS: Mapping[str, Text] = {
    # of weights
    "aligned_centred_cosine": Text("aligned centred cosine"),
    "centred_cosine": Text("centred cosine"),
    "cosine_in_the_recognised_basis": Text("cosine in the recognised basis"),
    "neurons_recognised": Text("share of neurons recognised in any basis"),
    "share_of_neurons_matched": Text("share of neurons matched"),
    "share_of_neurons_recognised": Text("share of neurons recognised"),
    "correlation_of_angles": Text("correlation of angles"),
    "fitted_likeness": Text("fitted likeness"),
    "neurons_that_keep_their_number": Text("neurons that keep their number"),
    "channels_that_keep_their_number": Text("channels that keep their number"),
    "identical_files": Text("identical files"),
    "identical_share_of_bytes": Text("identical share of bytes"),
    "explained_distance": Text("explained share of the distance"),
    "second_share": Text("share of the second parent"),
    # of vocabularies
    "neighbour_concordance": Text("neighbours in the same order"),
    "inherited_order_share": Text("share of inherited order"),
    "containment_of_smaller": Text("share of the smaller vocabulary in the larger"),
    "jaccard": Text("shared tokens of all tokens (Jaccard)"),
    "special_jaccard": Text("shared special tokens (Jaccard)"),
    "equal_settings": Text("equal settings"),
    "hangul_share": Text("share of Hangul tokens"),
    "tokens_per_korean_syllable": Text("tokens per Korean syllable"),
    "rows_needed_by_tokenizer": Text("rows that the tokenizer needs"),
    "published_kendall": Text("published rank correlation (Kendall)"),
    # of designs
    "computed_parameters": Text("computed parameters"),
    "core_fields_equal": Text("equal core fields"),
    "gower_distance": Text("distance of designs (Gower)"),
    # of training logs and checkpoints
    "exponent": Text("exponent"),
    "explained": Text("explained share"),
    "equal_in_a_row": Text("equal values in a row"),
    "faults": Text("faults"),
    "first_loss_minus_ln_vocabulary": Text("first loss minus ln(vocabulary)"),
    "first_loss_over_ln_vocabulary": Text("first loss over ln(vocabulary)"),
    "largest_singular_value_standardised": Text("largest singular value, standardised"),
    "least_aligned_cosine": Text("least aligned cosine"),
    "least_standardised_similarity": Text("least standardised similarity"),
    "logged_over_claimed": Text("logged over claimed"),
    "longest_repeat": Text("longest repeat"),
    "noise": Text("noise"),
    "noise_ratio_of_stretch": Text("noise of the stretch over its neighbours'"),
    "over_marchenko_pastur_edge": Text("times the edge of chance (Marchenko-Pastur)"),
    "peak": Text("peak"),
    "residual_correlation": Text("correlation of residuals"),
    "residual_correlation_with_loss": Text("correlation of residuals with the loss"),
    "rms_error": Text("root mean square error"),
    "tokens_per_active_parameter": Text("tokens per active parameter"),
    "utilisation": Text("utilisation of the hardware"),
    # of answers
    "distance_to_nearest": Text("distance to the nearest"),
    "excess_likeness": Text("likeness beyond the expected"),
    "likeness_of_next_tokens": Text("likeness of next tokens"),
    "excess_agreement": Text("agreement beyond the expected"),
    "fall_of_right_answers": Text("fall of right answers"),
    "last_month_known": Text("last month known"),
    "mean_distance": Text("mean distance"),
    "nearer_than_expected": Text("nearer than expected"),
    "months_later": Text("months later"),
    "rate_of_foreign_claims": Text("rate of claims to be another's"),
    "rate_of_own_claims": Text("rate of claims to be its maker's"),
    "share_answered": Text("share answered"),
    "share_of_equal_openings": Text("share of equal openings"),
    "support_of_sister_pair": Text("support of the nearest pair"),
}

RELATIONS: Mapping[str, Text] = {
    Relation.VERBATIM.value: Text("verbatim"),
    Relation.SAME.value: Text("the same"),
    Relation.EXTENDS.value: Text("extends it"),
    Relation.DERIVED.value: Text("derived"),
    Relation.MERGE.value: Text("merge"),
    Relation.SHARED_ANCESTRY.value: Text("shared ancestry"),
    Relation.SHARED_INITIALISATION.value: Text("shared initialisation"),
    Relation.INDEPENDENT.value: Text("independent"),
    Relation.INCONCLUSIVE.value: Text("inconclusive"),
    Relation.UNCLEAR.value: Text("unclear"),
    Relation.NOT_COMPARABLE.value: Text("not comparable"),
    Relation.NEAR_DESIGN.value: Text("near design"),
    Relation.OWN_DESIGN.value: Text("own design"),
    Relation.SAME_CORE.value: Text("same core fields"),
    Relation.OTHER_CORE.value: Text("other core fields"),
    Relation.COPIED_SEGMENT.value: Text("copied segment"),
    Relation.COPIED_RECORD.value: Text("copied record"),
    Relation.SAME_DATA_ORDER.value: Text("same data order"),
    Relation.STRETCH_APART.value: Text("a stretch apart"),
    Relation.INCOMPARABLE.value: Text("not comparable"),
    Relation.INCOMPLETE.value: Text("incomplete"),
    Relation.SHARED_ANSWERS.value: Text("shared answers"),
    Relation.CONTRADICTED.value: Text("contradicted"),
    Relation.DECLARED.value: Text("declared"),
    Relation.CONFLICTING.value: Text("sources disagree"),
    Relation.NOT_PUBLISHED.value: Text("not published"),
    Relation.AUDITED.value: Text("audited"),
}

STATUSES: Mapping[str, Text] = {  # where an entry of the catalogue comes from
    "package": Text("from a package's code"),
    "class-default": Text("default of its class"),
    "hub-page": Text("from the hub's page"),
    "published": Text("published"),
    "unverified": Text("unverified"),
}


PLACES: Mapping[str, Text] = {  # components and towers, where a sentence holds their identifier
    **{component.value: name for component, name in COMPONENT_NAMES.items()},
    "text": Text("text"),
    "vision": Text("vision"),
    "audio": Text("audio"),
}


# What policies' rows and controls' second models are called, where it is no name of a model.
OTHERS: Mapping[str, Text] = {
    "weights": Text("weights"),
    "llm_dna": Text("LLM-DNA"),
    "renumbered": Text("renumbered"),
    "own rows": Text("its own rows in another order"),
}


def named(name: str) -> Text:
    """Return a component, a method or the other model of a control in words."""
    return PLACES.get(name) or OTHERS.get(name) or Text("{what}", what=name)


def statistic_name(name: str) -> Text:
    """Return a statistic's name in words."""
    return STATISTIC_WORDS.get(name) or _as_it_is(name)


def relation_text(relation: str) -> Text:
    """Return a relation in words."""
    return RELATIONS.get(str(relation)) or _as_it_is(str(relation))


def status_text(status: str) -> Text:
    """Return in words where an entry of the catalogue comes from."""
    return STATUSES.get(status) or _as_it_is(status)


def _as_it_is(name: str) -> Text:
    return Text("{kind}", kind=name.replace("_", " "))
