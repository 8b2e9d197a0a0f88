"""Draw the neutral continuations: openings of code and of sentences, for output agreement.

    python -m tools.facts.build_probes

Code comes from Python's standard library (PSF-2.0; the file's header says so), sentences from
the templates below, which are ours. The other probe files are written by hand, a line a probe.
A new draw is a new version: answers recorded for the old one are not comparable with it.
"""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import numpy as np

from tools import ROOT

TARGET = ROOT / "pytest_scratchverify/methods/behaviour/asking/probes/continuation.jsonl"
CODE, ENGLISH, KOREAN = 700, 200, 100
HEAD = {
    "schema": "scratchverify/probes/1",
    "kind": "continuation",
    "version": "2026.11",
    "max_tokens": 12,
    "licence": "lang 'code': excerpts of CPython 3.11's standard library, PSF-2.0; others: MIT",
}
WHO = ("The old man", "My sister", "A tired nurse", "The two engineers", "Our neighbour",
       "The young teacher", "Nobody in the village", "The last passenger", "A small dog",
       "The new director", "Her grandmother", "The gardener", "One of the soldiers",
       "The librarian", "Their youngest son", "The woman at the counter")  # fmt: skip
DID = ("opened the letter and", "looked at the river and", "could not remember", "walked back to",
       "had never believed that", "asked quietly whether", "put the heavy box", "waited until",
       "said that the weather", "found an old coin near", "was surprised to see",
       "stopped talking when", "carefully wrote down", "bought three apples and",
       "listened to the radio while", "wondered why the door")  # fmt: skip
WHEN = ("", "That evening, ", "In the summer of that year, ", "After a long silence, ",
        "On the way home, ", "When the lights went out, ")  # fmt: skip
NUGU = ("그 노인은", "내 동생은", "젊은 교사는", "마지막 승객은", "옆집 아주머니는", "두 기술자는",
        "작은 강아지가", "새로 온 부장은", "도서관 사서는", "할머니께서는")  # fmt: skip
HAETDA = ("편지를 열어 보고", "창밖을 바라보며", "한참을 기다리다가", "오래된 동전을 주워",
          "조용히 물었다.", "문 앞에 서서", "라디오를 들으면서", "고개를 끄덕이고",
          "무거운 상자를", "아무 말 없이")  # fmt: skip
EONJE = ("", "그날 저녁 ", "집으로 돌아가는 길에 ", "비가 그친 뒤 ")


def code(draw: np.random.Generator) -> list[str]:
    """Cut openings of 40 to 110 characters from the standard library, at a line and a word."""
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted(p for p in root.rglob("*.py") if not {"site-packages", "test"} & set(p.parts))
    texts = [text for text in (p.read_text("utf-8", "ignore") for p in files) if len(text) > 500]
    found: dict[str, None] = {}
    while len(found) < CODE:
        text = texts[draw.integers(len(texts))]
        start = text.find("\n", int(draw.integers(len(text) - 200))) + 1
        piece = text[start : start + int(draw.integers(40, 110))].rsplit(" ", 1)[0]
        if len(piece.strip()) >= 25 and piece.isascii() and piece.isprintable() | ("\n" in piece):
            found[piece] = None
    return list(found)


def sentences(draw: np.random.Generator, parts: tuple[tuple[str, ...], ...], n: int) -> list[str]:
    """Combine parts into n distinct openings."""
    found: dict[str, None] = {}
    while len(found) < n:
        when, who, did = (str(draw.choice(part)) for part in parts)
        who = who[0].lower() + who[1:] if when and who.split()[0] in LOWERED else who
        found[f"{when}{who} {did}"] = None
    return list(found)


LOWERED = {"The", "My", "A", "Our", "Nobody", "Her", "One", "Their"}


def main() -> None:
    """Write the file."""
    draw = np.random.default_rng(2026)
    groups = {
        "code": code(draw),
        "en": sentences(draw, (WHEN, WHO, DID), ENGLISH),
        "ko": sentences(draw, (EONJE, NUGU, HAETDA), KOREAN),
    }
    lines = [json.dumps(HEAD)]
    for lang, prompts in groups.items():
        for number, prompt in enumerate(prompts, 1):
            row = {"id": f"continuation-{lang}-{number}", "lang": lang, "prompt": prompt}
            lines.append(json.dumps(row, ensure_ascii=False))
    TARGET.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines) - 1} continuations in {TARGET}")


if __name__ == "__main__":
    main()
