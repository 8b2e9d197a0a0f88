"""Every format is read, real and hostile, and equal vocabularies read equal."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.tokenizer.alphabet import from_byte_level, to_byte_level
from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Kind
from tests.tokenizer import toy
from tests.tokenizer.real_tokenizers import real
from tools.facts.artifact_registry import TOKENIZERS, tokenizer_path

EXPORTS = [
    ("llama3", "llama3-tiktoken", "llama3-gguf", "llama3.1"),
    ("qwen3", "qwen2.5", "qwen2.5-merges", "qwen-tiktoken", "qwen2-gguf"),
    ("mistral", "mistral-v1", "mistral-v3", "mistral-v7"),
    ("gpt-oss", "gpt-4o", "o200k"),
    ("cl100k", "gpt-3.5-turbo", "olmo2"),
    ("gpt2", "r50k", "gpt2-gguf"),
    ("neox-pii", "gpt-neox", "mpt"),
    ("claude", "claude-anthropic"),
    ("tekken-240718", "tekken-240911"),
]


@pytest.mark.parametrize("names", EXPORTS, ids=lambda names: names[0])
def test_exporters_of_one_vocabulary_read_the_same(names):
    assert len({real(name).digest for name in names}) == 1


def test_llama3_lists_280147_merges_and_learnt_127744_tokens():
    exported, ranks = real("llama3"), real("llama3-tiktoken")
    assert exported.merges_listed == 280_147
    assert ranks.merges_listed is None
    assert list(exported.learned) == list(ranks.learned)
    assert len(ranks.learned) == 127_744


@pytest.mark.parametrize(
    ("name", "ranks", "with_specials", "rows"),
    [
        ("llama3", 128_000, 128_256, 128_256),
        ("llama3-tiktoken", 128_000, 128_000, 128_000),
        ("qwen3", 151_643, 151_669, 151_669),
        ("qwen2-gguf", 151_643, 151_936, 151_936),
        ("deepseek-v3", 127_997, 128_815, 128_815),
    ],
)
def test_vocabulary_size_is_three_numbers(name, ranks, with_specials, rows):
    sizes = real(name).sizes
    assert (sizes.ranks, sizes.with_specials, sizes.rows) == (ranks, with_specials, rows)


@pytest.mark.parametrize("name", ["mistral-v1", "mistral-v3", "jurassic-2"])
def test_sentencepiece_is_read_as_its_own_library_reads_it(name):
    library = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer_path(name)))
    ours = real(name)
    ids = {token.content: token.id for token in ours.alphabet}
    ids |= dict(zip(ours.learned, ours.learned_ids.tolist(), strict=True))
    for token in list(ours.learned)[::997]:
        piece = token.decode().replace(" ", "\u2581")
        assert library.piece_to_id(piece) == ids[token]
    assert library.get_piece_size() == ours.sizes.with_specials


@pytest.mark.parametrize("name", ["qwen2.5", "claude", "olmo1"])
def test_tokenizer_json_is_read_as_the_tokenizers_library_reads_it(name):
    library = tokenizers.Tokenizer.from_file(str(tokenizer_path(name)))
    ours = real(name)
    for token, place in list(zip(ours.learned, ours.learned_ids.tolist(), strict=True))[::997]:
        assert library.token_to_id(to_byte_level(token)) == place
    assert library.get_vocab_size(with_added_tokens=True) == ours.sizes.with_specials


def test_every_kind_is_recognised():
    assert real("bert").kind is Kind.WORDPIECE
    assert real("xlm-roberta").kind is Kind.UNIGRAM
    assert real("jurassic-2").kind is Kind.UNIGRAM
    assert real("gemma3").kind is Kind.BPE


def test_every_registered_format_has_a_reader():
    kinds = {artifact.kind for artifact in TOKENIZERS.values()}
    assert kinds == {"tokenizer.json", "tiktoken", "tekken", "sentencepiece", "gguf", "vocab.json"}


def test_a_missing_artifact_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    with pytest.raises(FileNotFoundError, match=r"tools\.facts\.fetch_artifacts"):
        tokenizer_path("llama3")


def test_a_folder_is_read_by_its_fullest_file_and_takes_the_template(tmp_path):
    tokens = [b"th", b"the"]
    toy.write_tokenizer_json(tmp_path / "tokenizer.json", tokens, [(b"t", b"h"), (b"th", b"e")])
    toy.write_tiktoken(tmp_path / "x.tiktoken", [b"zz"])
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ x }}"}')
    found = read_tokenizer(tmp_path)
    assert list(found.learned) == tokens
    assert found.traits.chat_template is not None
    assert found.name == tmp_path.name


def test_a_folder_without_tokenizer_says_so(tmp_path):
    with pytest.raises(Unavailable, match="holds no tokenizer file"):
        read_tokenizer(tmp_path)


def test_unigram_and_wordpiece_json(tmp_path):
    unigram = tmp_path / "tokenizer.json"
    rows = [["<unk>", 0.0], ["\u2581", -2.0], ["a", -3.0], ["\u2581ab", -5.0], ["abc", -4.0]]
    unigram.write_text(json.dumps({"model": {"type": "Unigram", "unk_id": 0, "vocab": rows}}))
    # The more probable piece first; here <unk> has the highest score of all.
    assert list(read_tokenizer(unigram).learned) == [b"<unk>", b"abc", b" ab"]
    pieces = {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, "##ab": 4}
    model = {"type": "WordPiece", "vocab": pieces}
    added = [{"id": 0, "content": "[UNK]", "special": True}]
    unigram.write_text(json.dumps({"model": model, "added_tokens": added}))
    found = read_tokenizer(unigram)
    assert list(found.learned) == [b" ab", b"ab"]
    assert found.special == {"[UNK]"}


def test_vocab_txt(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[unused0]\na\n##a\nword\n")
    found = read_tokenizer(path)
    assert (list(found.learned), found.padding, found.sizes.rows) == ([b" word"], 1, 5)


def test_gguf_written_by_hand(tmp_path):
    tokens = [to_byte_level(t) for t in [*toy.ALPHABET, b"th", b"the"]]
    path = toy.write_gguf(
        tmp_path / "m.gguf",
        {
            "general.name": "x",
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": [*tokens, "<|end|>"],
            "tokenizer.ggml.token_type": [1] * len(tokens) + [3],
            "tokenizer.ggml.merges": ["t h", "th e"],
        },
    )
    found = read_tokenizer(path)
    assert (list(found.learned), dict(found.added)) == ([b"th", b"the"], {"<|end|>": 258})


BROKEN = {
    "empty.json": b"",
    "text.json": b"{",
    "list.json": b"[1, 2]",
    "deep.json": b"[" * 100_000,
    "no-model.json": b'{"a": 1}',
    "null-vocab.json": b'{"model": {"type": "BPE", "vocab": null, "merges": []}}',
    "bad-id.json": b'{"model": {"type": "BPE", "vocab": {"a": "1"}, "merges": []}}',
    "huge-id.json": b'{"model": {"type": "BPE", "vocab": {"a": 99999999999}, "merges": []}}',
    "bad-merge.json": b'{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": [1]}}',
    "bad-kind.json": b'{"model": {"type": "Magic", "vocab": {"a": 1}}}',
    "bad-added.json": b'{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": []},'
    b' "added_tokens": [{"content": "x"}]}',
    "bad.tiktoken": b"IQ== 0\n!!! 1\n",
    "rank.tiktoken": b"IQ== 99999999999999\n",
    "noise.model": bytes(range(256)) * 4,
    "short.gguf": b"GGUF\x03\x00",
    "many.gguf": b"GGUF\x03\x00\x00\x00" + b"\xff" * 16,
    "tekken.json": b'{"config": {"pattern": "x"}, "vocab": [{"rank": 0}]}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_give_a_sentence(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(Unavailable) as caught:
        read_tokenizer(path)
    assert str(caught.value.what).endswith(".")
    assert str(caught.value.remedy).endswith(".")


def test_an_oversized_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_scratchverify.tokenizer.limits.MAX_BYTES", 1000)
    path = toy.write_tiktoken(tmp_path / "x.tiktoken", [b"the"])
    with pytest.raises(Unavailable, match="too large"):
        read_tokenizer(path)


def _samples(folder: Path) -> list[bytes]:
    tokens = [b"th", b"the", b" the"]
    merges = toy.all_splits(tokens)
    gguf = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [to_byte_level(t) for t in [*toy.ALPHABET, *tokens]],
        "tokenizer.ggml.merges": ["t h"],
    }
    files = [
        toy.write_tokenizer_json(folder / "a", tokens, merges),
        toy.write_tiktoken(folder / "b", tokens),
        toy.write_gguf(folder / "c", gguf),
    ]
    return [
        *(file.read_bytes() for file in files),
        tokenizer_path("mistral-v1").read_bytes()[:4000],
    ]


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated_files_are_read_or_refused(data, tmp_path):
    sample = data.draw(st.sampled_from(_samples(tmp_path)))
    start = data.draw(st.integers(0, len(sample) - 1))
    length = data.draw(st.integers(0, 12))
    noise = data.draw(st.binary(max_size=12))
    path = tmp_path / "mutated.model"
    path.write_bytes(sample[:start] + noise + sample[start + length :])
    with contextlib.suppress(Unavailable):  # the one error that a bad file may cause
        assert read_tokenizer(path).sizes.rows >= 0


@given(st.binary(max_size=40))
def test_byte_level_alphabet_round_trip(token):
    assert from_byte_level(to_byte_level(token)) == token
