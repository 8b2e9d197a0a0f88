"""Stacks of layers beside one another: which tower a stack is, and how its layers are numbered.

A name gives a layer's number in its own stack. Where a component has several stacks (an encoder
and a decoder, a head that predicts further tokens, a talker beside what hears), their layers are
numbered one after the other, so that no two tensors have one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from pytest_scratchverify.checkpoint import role_lines
from pytest_scratchverify.checkpoint.mixer_lines import MIXER
from pytest_scratchverify.checkpoint.tensor_role import TensorRole
from pytest_scratchverify.checkpoint.tower_lines import words_of
from pytest_scratchverify.core.component import Component

TEXT, EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
SIDES = ("encoder", "decoder")
# Words of a prefix by which stacks of one component are told apart, in the order of their numbers;
# None is a stack without such a word.
STACKS_OF_TEXT = ("encoder", None, "decoder", "mtp")
STACKS_OF_SOUND = (None, "talker", "code_predictor", "token2wav", "bigvgan")
_SAME = {"mtp_block": "mtp", "mtp_layers": "mtp", "nextn": "mtp", "code2wav": "token2wav",
         "code2wav_bigvgan_model": "bigvgan"}  # fmt: skip
_USUAL = frozenset(
    {"model", "language_model", "transformer", "text_model", "llm", "gpt_neox", "bert", "roberta",
     "thinker", "backbone", "rwkv", "module", "net", "base_model"}
)  # fmt: skip
_PLACE = re.compile(r"\w*(?:layers?|blocks?|h|tower|encoder|visual|model)")
_BETWEEN = re.compile(r"\w*attn_layers")  # layers between others, that read what a tower gives
# Two blocks to a layer, as in LongCat-Flash: the second number is the block's.
DOUBLED = re.compile(
    r"(self_attn|attn|attention|mlps?|ffns?)\.([01])(\.[A-Za-z].*)"
    r"|(input_layernorm|post_attention_layernorm)\.([01])"
)
# Modules before a first layer that say what a stack is that no word names.
_HEARS = re.compile(
    r"(?:model\.)?encoder\.(?:conv1|conv\.conv_layers\.0|subsampling\..+|pre_encode\..+"
    r"|feature_extractor\.conv_layers\.0\.conv"
    r"|layers\.0\.(?:conv|conv_module|convolution_module)\.\w*(?:depth|dw)\w*(?:\.conv)?)\.weight"
)
# An encoder of an encoder-decoder that reads patches of a picture, and no text.
_READS_PATCHES = re.compile(
    r"(?:model\.)?encoder\.(?:embeddings\.patch_\w+(?:\.projection)?|patch_embed\w*(?:\.proj\w*)?)\.weight"
)
_LISTED = re.compile(r"(?:^|\.)\d+\.")
_UNDER = {Component.VISION_ENCODER: "vision_tower.", Component.AUDIO_ENCODER: "audio_tower."}
# What stands before the layers of a tower that is an encoder without a word, or behind them.
_AROUND = re.compile(
    r"(?:.*\.)?(?:subsampling|pre_encode|feature_extractor|prenet|neck|embeddings)\..*"
)
_SEES = re.compile(r"(?:model\.)?(?:patch_conv|patch_embed\w*(?:\.proj\w*)?|embeddings\.patch_\w+"
                   r"(?:\.projection)?|conv_proj)\.weight")  # fmt: skip


def side_of(prefix: str) -> str:
    """Return the word by which a prefix names one of several stacks, empty if it has none.

    It is one of the words above, or else whatever stands before the layers that is no usual name
    of a model.
    """
    words = [_SAME.get(word, word) for word in prefix.split(".") if word]
    known = [w for w in words if w in STACKS_OF_TEXT or w in STACKS_OF_SOUND]
    if known:
        return max(known, key=_rank)
    return ".".join(
        w for w in words if w not in _USUAL and (_BETWEEN.fullmatch(w) or not _PLACE.fullmatch(w))
    )


def _rank(word: str) -> int:
    """Order words by how much they say: a talker's decoder is a talker."""
    return STACKS_OF_SOUND.index(word) + 9 if word in STACKS_OF_SOUND else SIDES.count(word)


def doubled(rest: str) -> tuple[str, str]:
    """Return a name behind a layer's number without the number of its block, and that block."""
    found = DOUBLED.fullmatch(rest)
    if found is None:
        return rest, ""
    if found[4]:
        return found[4], f"block{found[5]}"
    module = {"mlps": "mlp", "ffns": "ffn"}.get(found[1], found[1])
    return f"{module}{found[3]}", f"block{found[2]}"


def settled_together(
    roles: dict[str, TensorRole],
    unmapped: Collection[str] = (),
    role_of: Callable[[str], TensorRole | None] = lambda _: None,
) -> dict[str, TensorRole]:
    """Change what names mean only together: Qwen-1's gates, what a stack is, layers' numbers.

    Parameters
    ----------
    unmapped
        Names that no line knows: they have a role where what they stand in is found to be a tower.
    role_of
        Gives the role that a single name has.
    """
    for sign, kinds in (
        (".attn.c_attn.", role_lines.QWEN1),
        (".mlp.fc0.", role_lines.FROM_NOUGHT),
    ):
        if any(sign in name for name in roles):
            for name, role in roles.items():
                kind = next((k for end, k in kinds.items() if end in name), role.kind)
                roles[name] = replace(role, kind=kind)
    found = _tower_without_word(roles, unmapped)
    if found:
        _moved(roles, *found)
        roles |= _of_side(unmapped, *found, role_of)
    _with_blocks(roles)
    _numbered(roles, (TEXT, EXPERTS), STACKS_OF_TEXT)
    for tower in (Component.VISION_ENCODER, Component.AUDIO_ENCODER, Component.PROJECTOR):
        _told_apart(roles, tower)
    _numbered(roles, (Component.AUDIO_ENCODER,), STACKS_OF_SOUND)
    _numbered(roles, (Component.VISION_ENCODER,), (None,))
    return roles


def _tower_without_word(
    roles: Mapping[str, TensorRole], unmapped: Collection[str]
) -> tuple[str | None, Component] | None:
    """Find a tower that no word names: the side of its stack, None for all there is; or None."""
    names = [*roles, *unmapped]
    if any(map(_HEARS.fullmatch, names)):
        return "encoder", Component.AUDIO_ENCODER
    if any(map(_READS_PATCHES.fullmatch, names)):
        return "encoder", Component.VISION_ENCODER
    if any(role.kind == "embed" for role in roles.values()):
        return None
    if any(map(_SEES.fullmatch, names)):
        return None, Component.VISION_ENCODER
    if any(map(_LISTED.search, unmapped)):
        return None  # a stack of unknown names: it may be a decoder
    stacks = {role.component for role in roles.values() if role.layer is not None}
    alone = stacks - {Component.PROJECTOR}
    return (None, alone.pop()) if len(alone) == 1 and alone <= _UNDER.keys() else None


def _told_apart(roles: dict[str, TensorRole], tower: Component) -> None:
    """Give stacks of one tower's component the words of towers before them, if these differ.

    Two towers beside one another, or one in another, would have one place otherwise. What is
    stored under one word twice keeps one place, and is named.
    """
    own = {name: role for name, role in roles.items() if role.component is tower}
    words = {n: (r.side, words_of(n)) for n, r in own.items() if r.layer is not None}
    ranks: dict[str, list[tuple[str, ...]]] = {}
    for side, found in sorted({*words.values()}, key=lambda w: (len(w[1]), len("".join(w[1])), w)):
        ranks.setdefault(side, []).append(found)
    for name, (side, found) in words.items():
        if found != ranks[side][0]:
            roles[name] = replace(own[name], side=".".join((side, *found)))
    first: dict[tuple[str, str], tuple[str, ...]] = {}
    outside = (name for name, role in own.items() if role.layer is None)
    for name in sorted(outside, key=lambda n: (len(words_of(n)), len(n), n)):
        role, found = own[name], words_of(name)
        if first.setdefault((role.kind, role.part), found) != found:
            stem = name.removesuffix(f".{role.part}")
            at = role.kind.startswith("position")  # which a formula may fill, and which stays one
            roles[name] = replace(role, kind=f"position:{'.'.join(found)}" if at else MIXER + stem)


def _of_side(
    names: Collection[str],
    side: str | None,
    tower: Component,
    role_of: Callable[[str], TensorRole | None],
) -> dict[str, TensorRole]:
    """Give what no line knows of a stack that is a tower to it, by what it would be under a word.

    What has no name there either stays unknown.
    """
    found = {}
    for name in names:
        rest = name.removeprefix("model.")
        if _LISTED.search(name) if side is None else not rest.startswith(f"{side}."):
            continue  # of another stack, perhaps a decoder's
        role = role_of(_UNDER[tower] + (rest if side is None else rest.partition(".")[2]))
        if role is None and name.endswith(".weight") and _AROUND.fullmatch(name):
            role = TensorRole(tower, MIXER)
        if role is not None and role.component is tower:
            stem = name.removesuffix(".weight").replace("/", "_")
            kind = MIXER + stem if role.kind.startswith(MIXER) else role.kind
            found[name] = replace(role, kind=kind, side="")
    return found


def _moved(roles: dict[str, TensorRole], side: str | None, component: Component) -> None:
    """Give a stack of the text's to the tower that it is."""
    for name, role in roles.items():
        own = role.component is TEXT or role.kind == "position"
        if own and side in (None, role.side):
            roles[name] = replace(role, component=component, side="")


def _with_blocks(roles: dict[str, TensorRole]) -> None:
    """Make a layer of every block, where layers have two."""
    if not any(role.side == "block1" for role in roles.values()):
        return
    for name, role in roles.items():
        if role.component in (TEXT, EXPERTS) and role.layer is not None:
            number = 2 * role.layer + (role.side == "block1")
            roles[name] = replace(role, layer=number, side="")


def _numbered(
    roles: dict[str, TensorRole], components: tuple[Component, ...], stacks: tuple[str | None, ...]
) -> None:
    """Number the layers of several stacks one after the other."""
    layered = [r for r in roles.values() if r.layer is not None and r.component in components]
    last: dict[str, int] = {}
    for role in layered:
        last[role.side] = max(last.get(role.side, 0), role.layer or 0)
    if len(last) < 2:
        return
    first, start = {}, 0
    usual = ["" if side is None else side for side in stacks]
    for side in [*usual, *sorted(last.keys() - {*usual})]:
        if side in last:
            first[side], start = start, start + last[side] + 1
    two_sided = last.keys() >= set(SIDES)
    # Two tables of tokens are two, unless there is one that both sides share.
    own_table = {r.side for r in roles.values() if r.kind == "embed"} == set(SIDES)
    for name, role in roles.items():
        if role.layer is not None and role.component in components:
            roles[name] = replace(role, layer=role.layer + first[role.side])
        elif (
            two_sided
            and role.component in (TEXT, EXPERTS, Component.EMBEDDINGS)
            and role.layer is None
            and role.side == "encoder"
            and (role.kind != "embed" or own_table)
        ):
            kind = "embed_encoder" if role.kind == "embed" else f"encoder_{role.kind}"
            roles[name] = replace(role, kind=kind)
