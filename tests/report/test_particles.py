"""Korean particles after values that are not known when a sentence is translated."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.language import catalogue, translate
from pytest_scratchverify.report.particles import particles


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("가중치은(는)", "가중치는"),
        ("토큰은(는)", "토큰은"),
        ("파일(으)로 층(으)로 설계(으)로", "파일로 층으로 설계로"),
        ("3을(를) 22을(를) 10이(가)", "3을 22를 10이"),
        ("0.19이(가) 1e-300와(과)", "0.19가 1e-300과"),
        ("Solar-Open-100B와(과) MLA이(가)", "Solar-Open-100B와 MLA가"),
        ("Kimi-K2-Instruct와(과) GLM-4.5-Air와(과)", "Kimi-K2-Instruct와 GLM-4.5-Air와"),
        ("Mixtral와(과) head_dim은(는) GLM이(가)", "Mixtral과 head_dim은 GLM이"),
        ("`Qwen2.5`와(과)", "`Qwen2.5`와"),
        ("(거리 0.3)이(가)", "(거리 0.3)이"),
        ("DeepSeek-V3와(과) GPT-4이(가) gemma-9은(는)", "DeepSeek-V3와 GPT-4가 gemma-9은"),
        ("Llama-3.1-405을(를) Phi-14와(과)", "Llama-3.1-405를 Phi-14와"),
        ("chat은(는) type은(는) block을(를)", "chat은 type은 block을"),
        ("mit이(가) deepseek이(가) scoring_func은(는)", "mit가 deepseek가 scoring_func는"),
        ("base을(를) file(으)로 norm(으)로 code(으)로", "base를 file로 norm으로 code로"),
        ("gpl을(를) head와(과) 12 %이(가)", "gpl을 head와 12 %가"),
    ],
)
def test_they_fit_how_a_word_is_read(written, read):
    assert particles(written) == read


def test_no_sentence_keeps_both_after_a_word():
    """Of all letters, digits and endings that a name may have."""
    ends = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%)'`"
    for one in ends:
        for two in ends:
            assert "(" not in particles(f"x{one}{two}은(는)").removeprefix(f"x{one}{two}"), (
                one + two
            )
    assert particles("와(과)") == "와(과)"  # after nothing there is nothing to fit


def test_a_translated_sentence_has_them():
    template = "{field} is {value}, as published"
    assert catalogue("ko").gettext(template) != template, "another sentence for this test"
    said = translate(Text(template, field="vocab_size", value=163840), "ko")
    assert "163,840이다" in said
    said = translate(Text(template, field="hidden_dim", value=2), "ko")
    assert said.startswith("hidden_dim은 ")
