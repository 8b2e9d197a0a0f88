"""How a vocabulary serves Korean, measured on a sample that was written for this project.

Words are cut at spaces and merged by rank. The tokenizer's own normaliser and splitting
pattern are not run, so that a rank file without either is measured the same way; for Korean
prose the difference is a few per cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from pytest_scratchverify.stats.tokenizer.script_profile import (
    is_hangul,
    script_shares,
    tokens_per_syllable,
)
from pytest_scratchverify.tokenizer.vocabulary import Kind, Tokenizer

# Written for this test: everyday, technical, literary and official register.
SAMPLE = (
    "아침마다 골목 끝 빵집에서 갓 구운 식빵 냄새가 번져 나온다. 할머니는 유리문을 "
    "닦으며 지나가는 아이들에게 손을 흔들고, 아이들은 가방을 메고 학교로 뛰어간다. "
    "오늘은 비가 올 것 같아서 우산을 챙겼지만 하늘은 금세 맑아졌다. 연구원들은 새 "
    "장비의 전력 소비를 측정한 뒤, 결과가 예상보다 십 퍼센트 낮다는 사실을 보고서에 "
    "적었다. 신경망의 가중치를 무작위로 초기화하고 학습률을 조금씩 줄였더니 검증 손실이 "
    "천천히 떨어졌다. 위원회는 제출된 자료를 검토하여 다음 달 말일까지 그 결과를 "
    "신청인에게 통지하여야 한다. 강물은 말없이 흘러 바다에 닿고, 떠난 사람의 편지는 "
    "끝내 돌아오지 않았다. 저녁 식탁에는 된장찌개와 갓김치, 구운 고등어가 놓였다. "
    "버스가 늦게 와서 약속 시간에 맞추지 못할까 걱정했는데 다행히 친구도 조금 늦는다고 "
    "연락해 왔다."
)


def script_profile(tokenizer: Tokenizer) -> dict[str, float]:
    """The share of learnt tokens that hold a letter of each script."""
    texts = [token.decode("utf-8", "ignore") for token in tokenizer.learned]
    characters = "".join(texts).encode("utf-32-le", "surrogatepass")
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    owners = np.repeat(np.arange(len(texts)), lengths)
    return script_shares(np.frombuffer(characters, dtype=np.uint32), owners, len(texts))


def korean_cost(tokenizer: Tokenizer, text: str = SAMPLE) -> float:
    """Tokens per Hangul syllable of `text`."""
    ranks = {token: rank for rank, token in enumerate(tokenizer.learned)}
    symbols = {token.content for token in tokenizer.alphabet}
    words = [f" {word}" for word in text.split()]
    counts = [len(segment(word, ranks, symbols, tokenizer.kind)) for word in words]
    syllables = [
        int(is_hangul(np.frombuffer(word.encode("utf-32-le"), dtype=np.uint32)).sum())
        for word in words
    ]
    return tokens_per_syllable(np.array(counts), np.array(syllables))


def segment(word: str, ranks: Mapping[bytes, int], symbols: set[bytes], kind: Kind) -> list[bytes]:
    """Cut a word into tokens: by merge rank for BPE, by longest match otherwise.

    Longest match stands in for Unigram's most probable path, which needs probabilities that
    the canonical form does not keep.
    """
    parts = _symbols(word, symbols)
    if kind is not Kind.BPE:
        return _longest(parts, ranks)
    whole = b"".join(parts)
    if whole in ranks:
        return [whole]
    while len(parts) > 1:
        joined = [ranks.get(a + b, -1) for a, b in pairwise(parts)]
        best = min((rank for rank in joined if rank >= 0), default=-1)
        if best < 0:
            break
        at = joined.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _symbols(word: str, symbols: set[bytes]) -> list[bytes]:
    """Characters that are symbols of the vocabulary, bytes for the others."""
    parts: list[bytes] = []
    for character in word:
        encoded = character.encode()
        known = encoded in symbols
        parts += [encoded] if known else [bytes([byte]) for byte in encoded]
    return parts


def _longest(parts: list[bytes], ranks: Mapping[bytes, int]) -> list[bytes]:
    found: list[bytes] = []
    start = 0
    while start < len(parts):
        end = next(
            (e for e in range(len(parts), start + 1, -1) if b"".join(parts[start:e]) in ranks),
            start + 1,
        )
        found.append(b"".join(parts[start:end]))
        start = end
    return found
