"""The commands that pages show: those that are executed, and the reason why others are not."""

from __future__ import annotations

import re

from tools.running import ROOT

PROGRAMS = r"(?:\./verify|make|pytest|scratchverify|python|pre-commit)"
COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*{PROGRAMS} \S")
# Their commands are run all at once by tests/docs/test_model_pages.py and test_tutorial.py.
GENERATED = {
    ROOT / "docs" / "models",
    ROOT / "docs" / "ko" / "models",
    ROOT / "docs" / "api" / "generated",
    ROOT / "docs" / "tutorial",  # tests/docs/test_tutorial.py
    ROOT / "docs" / "ko" / "tutorial",
}

MAIN_JOB = "--model skt/A.X-K1 --html report.html --verdict-json verdict.json"
HYPERCLOVA = "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"
# Command, exit code, the file that it leaves. In this order: later ones read what earlier ones left.
EXECUTED: dict[str, tuple[int, str | None]] = {
    f"pytest suites/ {MAIN_JOB}": (10, "report.html"),
    f"./verify {MAIN_JOB}": (10, "verdict.json"),
    "pytest suites/ --model skt/A.X-K1": (10, None),
    "pytest suites/ --model skt/A.X-K1 -m architecture": (10, None),
    f"pytest suites/ --model {HYPERCLOVA} -m disclosure": (1, None),
    "pytest --help": (0, None),
    "scratchverify render run.json": (0, None),
    "scratchverify --help": (0, None),
    "scratchverify run --help": (0, None),
    "scratchverify render run.json --html FILE": (0, "FILE"),
    "scratchverify render FILE --html PAGE --report-lang ko": (0, "PAGE"),
    "make format": (0, None),
    "make messages": (0, None),
    "python -m tools.site.korean_digests docs/ko/adding.md": (0, None),
}
HUB = "reads the hub; tests/cli/test_catalog.py runs it against one on the loopback"
ANSWERS = "needs a server or recorded answers; tests/behaviour/test_suite.py runs it with both"
CALIBRATION = "minutes of work on the zoo; rewrites a calibration file"
BENCHMARK = "minutes of work on the zoo"
NOT_EXECUTED: dict[str, str] = {
    "make test": "runs this very test",
    "make fuzz": "minutes to hours",
    "python -m tests.fuzz": "half a minute; each file of it is a slow test",
    "make quick": "a part of `make test`",
    "pytest tests/training_log/test_recognised_logs.py": "a part of `make test`, and slow ones",
    "make test-slow": "minutes to hours",
    "make catalog": "reads the facts beside the repository, which are not part of it",
    "make audit": "asks PyPI's advisory service",
    "make floors": "installs the oldest and the newest of every dependency; CI runs it",
    "make release-check": "builds twice with tools from PyPI; the release workflow runs it",
    "pytest --pyargs pytest_scratchverify._suites": "needs the wheel: the release workflow runs it",
    "scratchverify COMMAND --help": "a template: tests/cli/test_run_command.py looks at every help",
    "scratchverify catalog nearest": "a template: tests/cli/test_catalog.py fills it in",
    "make lint": "a part of `make test`",
    "make setup": "makes the environment in which these tests run",
    "python -m tools.same_bytes": "needs other Pythons; tests/suites/test_same_bytes.py runs it with this one",
    "make faults": "many minutes: the whole matrix; a part is in tests/stores/test_fault_matrix.py",
    "make docs": "tests/docs/test_site.py runs the same build",
    "make model-pages": "tests/docs/test_model_pages.py runs the same tool",
    "make tutorial": "tests/docs/test_tutorial.py runs the same tool",
    "make tutorial-question": "tests/docs/test_tutorial.py runs it in a copy of the tree",
    "make serve-zoo": "installs torch and transformers",
    "pre-commit install": "writes a hook into the .git of whoever runs it",
    "python -m tools.site.refresh_sample": "needs a browser; tests/report/test_outlets.py compares the page",
    "pytest test_my_lab.py": "tests/docs/test_examples.py runs it on models of the zoo",
    "pytest --fixtures": "pytest's own; prints the docstrings that the page's table is made of",
    "pytest -n 2": "a fragment: the main job, which tests/suites/test_main_job.py runs with -n 2",
    "pytest tests/behaviour/test_real_server.py": "slow: transformers' server, torch",
    "pytest tests/training_log/test_bounded_memory.py": "tests/training_log are run as they are",
    "pytest suites/ --model org/name --endpoint": ANSWERS,
    "pytest suites/ --model SUSPECT --against ORIGIN": "a template: the main job with two names",
    "pytest suites/ --model X --endpoint URL": ANSWERS,
    "pytest suites/ --model=./SmolLM2-135M-Instruct.Q4_1.gguf": "tests/stores/test_gguf_models.py runs such a one",
    "pytest suites/ --model=org/name-GGUF": "a template: tests/stores/test_gguf_models.py fills it in",
    "python -m tools.facts.fetch_real_gguf": "fetches 330 MB; `make test-slow` runs it",
    "pytest -m slow tests/weights/test_real_gguf.py": "a part of `make test-slow`",
    "pytest -m slow tests/weights/test_power_sentences.py": "a part of `make test-slow`",
    "pytest suites/ --model=./folder": "a template: tests/plugin/test_hostile_folders.py runs it",
    "pytest suites/ --model ./folder": "a template: tests/plugin/test_hostile_folders.py runs it",
    "pytest --scratch-model ./folder suites/": "a template: tests/plugin/test_hostile_folders.py runs it",
    "./verify --model=./folder": "a template: the same as above, and EXECUTED runs ./verify",
    "pytest suites/ --model org/name --training-log": "tests/training_log/test_suite.py runs it",
    "pytest tests/weights/test_real_weights.py": "slow; make test-slow runs it",
    "scratchverify explain signs.agreement": "tests/plugin/test_third_party.py runs it",
    "pytest suites/ --model A --against B": "a template: tests/suites/test_checkpoints.py fills it in",
    "scratchverify catalog add": HUB,
    "scratchverify catalog update": HUB,
    "pytest suites/ --pyargs mylab_scratch.suites": "tests/plugin/test_third_party.py runs it",
    "scratchverify run --model=./suspect --against": "what tests/docs/test_examples.py runs prints it",
    "scratchverify diff": "a template: tests/report/test_outlets.py runs it on two runs",
    "scratchverify explain": "a template: tests/report/test_outlets.py runs it on real findings",
    "scratchverify render run.json --html page.html": "tests/report/test_outlets.py renders them all",
    "scratchverify render": "a template: see the renderings above",
    "scratchverify run": "the same as pytest suites/: tests/cli/test_commands.py runs it",
    "scratchverify attest": "needs a key: tests/cli/test_attestation.py makes one and signs",
    "scratchverify verify-attestation": "needs a key: tests/cli/test_attestation.py checks with one",
    "scratchverify fingerprint": "reads the hub; tests/cli and tests/weights run it",
    "pytest suites/ --model org/name --against org/other --depth full --cluster": "tests/plugin/test_cluster.py runs it",
    "pytest suites/ --model org/name --against-library": "tests/plugin/test_against_library.py runs it",
    "python -m tools.calibrate": CALIBRATION,
    "python -m benchmarks.hard_nulls": "minutes; tests/stats/weights/test_hard_nulls.py runs a part",
    "python -m benchmarks.innocent_suites": "minutes; tests/suites/test_innocent_suites.py: a part",
    "python -m tools.facts.fetch_artifacts": "downloads from PyPI and npm; `make test` runs it",
    "python -m tools.facts.counted": "tests/checkpoint/test_counted_types.py runs it",
    "python -m tools.facts.instantiate": "needs torch and transformers; minutes",
    "python -m tools.facts.unmapped": "tests/checkpoint/test_roles.py runs it on names at hand",
    "python -m benchmarks.seed_twins": "trains models, needs torch",
    "python -m tools.facts.newest_names": "needs torch and transformers; tests run it on its list",
    "python -m tools.zoo.train": "trains models, needs torch",
    "python -m tools.zoo.record_answers": "needs torch and a running server",
    "python -m tools.zoo.record_next_tokens": "needs torch and running servers",
    "python -m tools.zoo.serve": "needs torch and transformers",
    "python -m benchmarks.": BENCHMARK,
}


def shown() -> dict[str, list[str]]:
    """Return every command that is shown, with the pages that show it."""
    pages = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    found: dict[str, list[str]] = {}
    for page in sorted(page for page in pages if page.parent not in GENERATED):
        text = re.sub(r"\\\n\s*", "", page.read_text("utf-8"))
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += [line for line in prose.splitlines() if line.startswith("    ")]
        lines += re.findall(r"`([^`\n]+)`", prose)
        for line in map(str.strip, lines):
            if COMMAND.match(line):
                found.setdefault(line, []).append(str(page.relative_to(ROOT)))
    return found


def reason(command: str) -> str | None:
    return next((why for start, why in NOT_EXECUTED.items() if command.startswith(start)), None)
