"""The probe files: well formed, gradable, harmless to publish."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import Answer
from pytest_scratchverify.methods.behaviour.asking.probes import FOLDER, read_probes
from pytest_scratchverify.methods.behaviour.claims import claimed, own_vendors, vendors
from pytest_scratchverify.methods.behaviour.features import letter_groups, opening, style_features
from pytest_scratchverify.methods.behaviour.grading import first_sentence, is_refusal, is_right
from tests.behaviour.making import right_answer

PROBES = shipped_probes()
KNOWLEDGE = [p for p in PROBES if p.kind is Kind.KNOWLEDGE]


def answered(text, finish="stop"):
    return Answer(api="chat", body={}, model="m", text=text, finish_reason=finish)


def test_every_kind_in_english_and_korean():
    for kind in Kind:
        langs = Counter(p.lang for p in PROBES if p.kind is kind)
        assert langs["en"] >= 16, kind
        assert langs["ko"] >= 8, kind
    assert len({p.id for p in PROBES}) == len(PROBES)
    assert len({(p.kind, p.prompt) for p in PROBES}) == len(PROBES)


def test_several_dated_questions_in_every_quarter_of_seven_years():
    quarters = Counter(f"{p.month[:4]}q{(int(p.month[5:]) + 2) // 3}" for p in KNOWLEDGE)
    assert len(quarters) == 28
    assert min(quarters.values()) >= 4


@pytest.mark.parametrize("probe", KNOWLEDGE, ids=lambda p: p.id)
def test_graders_take_the_right_answer_and_not_the_question(probe):
    assert is_right(probe, answered(f"I believe it was {right_answer(probe).upper()}.")) is True
    assert is_right(probe, answered(probe.prompt)) is False, "the question gives the answer away"
    assert is_right(probe, answered("I do not know.")) is False
    assert is_right(probe, answered("Well, let me think about", "length")) is None
    assert is_right(probe, answered("  ")) is None
    assert is_right(probe, answered(None)) is None


@pytest.mark.parametrize(
    ("probe", "text", "right"),
    [("knowledge-2022-07-en-1", "Shinzō Abe was shot.", True),
     ("knowledge-2022-07-en-1", "The label was abet.", False),
     ("knowledge-2020-09-en-2", "YOSHIHIDE　ＳＵＧＡ", True),
     ("knowledge-2020-09-en-2", "sugar", False),
     ("knowledge-2023-07-en-1", "It is now called X.", True),
     ("knowledge-2022-03-ko-1", "윤석열 후보가 당선되었습니다.", True)],
)  # fmt: skip
def test_grading_by_hand(probe, text, right):
    found = next(p for p in KNOWLEDGE if p.id == probe)
    assert is_right(found, answered(text)) is right


def test_adding_a_probe_is_one_line(tmp_path):
    lines = (FOLDER / "style.jsonl").read_text().splitlines()
    path = tmp_path / "style.jsonl"
    path.write_text("\n".join([*lines, '{"id": "style-en-99", "lang": "en", "prompt": "Why?"}']))
    assert read_probes(path)[-1].prompt == "Why?"
    path.write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(ValueError, match="was used before"):
        read_probes(path)
    path.write_text("\n".join([*lines, '{"id": "x"}']))
    with pytest.raises(ValueError, match=f"line {len(lines) + 1}"):
        read_probes(path)


def test_headers_name_version_and_licence():
    for kind in Kind:
        head = json.loads((FOLDER / f"{kind}.jsonl").read_text().splitlines()[0])
        assert re.fullmatch(r"\d{4}\.\d{2}", head["version"])
        assert head["licence"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [("I am ChatGPT, made by OpenAI.", {"openai"}),
     ("I'm not ChatGPT. I was made by Upstage.", {"upstage"}),
     ("I am not affiliated with OpenAI or Anthropic.", set()),
     ("A model like Llama, but smaller.", set()),
     ("저는 OpenAI가 개발한 언어 모델입니다.", {"openai"}),
     ("저는 챗GPT가 아니라 업스테이지의 Solar입니다.", set()),
     ("저는 네이버가 만든 하이퍼클로바X입니다.", {"naver"}),
     ("我是通义千问，由阿里云开发。", {"alibaba"}),
     ("我不是ChatGPT。", set()),
     ("Je suis Claude, créé par Anthropic.", {"anthropic"}),
     ("Ich bin kein Produkt von Google.", set()),
     ("I was trained by Zhipu AI; my name is ChatGLM.", {"zhipu"}),
     ("I am Qwen, but I was trained by DeepSeek.", {"alibaba", "deepseek"}),
     ("The metaphor of a gemstone.", set()),
     ("x" * 50_000, set())],
)  # fmt: skip
def test_claims_by_hand(text, keys):
    assert claimed(text) == keys


def test_vendors_of_the_matrix_are_in_the_table():
    from tools.running import ROOT

    matrix = (ROOT / "suites" / "matrix.toml").read_text()
    names = re.findall(r'^"([\w.-]+/[\w.-]+)" = ', matrix, re.MULTILINE)
    assert len(names) > 10
    assert all(own_vendors(name) for name in names)
    assert len({v.key for v in vendors()}) == len(vendors())


def test_refusals_openings_and_letters_by_hand():
    assert is_refusal("I\u2019m sorry, but I can\u2019t help with that.")
    assert is_refusal("죄송하지만 도와드릴 수 없습니다.")
    assert not is_refusal("Sure! Here is the essay.")
    assert first_sentence("No. Never again.") == "No."
    assert opening("  self.assertEqual(x)") == "self ."
    assert opening("문이 열렸다") == "문이 열렸다"
    assert opening("\n\n   x") is None
    same = letter_groups("The river") @ letter_groups("the  RIVER")
    assert same == pytest.approx(1.0)
    assert letter_groups("The river") @ letter_groups("qqq zzz") < 0.1
    assert letter_groups("").any() == letter_groups("   ").any()
    assert style_features("- a\n- b\n**c**")[3] > style_features("a b c")[3]
