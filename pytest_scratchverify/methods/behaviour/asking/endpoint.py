"""One request to an OpenAI-compatible server: what came back, or why nothing did.

Retries, backing off and ``Retry-After`` are the `openai` client's. Bodies are read up to a bound
and parsed here, because a server under test may answer anything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.asking.answers import (
    LONGEST_ANSWER,
    Answer,
    log_probabilities,
)
from pytest_scratchverify.methods.behaviour.asking.request import Request
from pytest_scratchverify.stores.http.access import shown_address

KEY_VARIABLE = "SCRATCHVERIFY_API_KEY"
LARGEST_BODY = 4 * 2**20
# What is dropped where a server rejects a request, one attempt after the other.
_LOGPROBS, _FIXED = ("logprobs", "top_logprobs"), ("seed", "temperature")
ATTEMPTS = (_LOGPROBS, _FIXED[:1], _FIXED, (*_LOGPROBS, *_FIXED))
REJECTIONS = frozenset({400, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to ask, as whom, and how patiently. The key is read from the environment only."""

    url: str
    model: str
    api: str = "chat"
    timeout: float = 120.0
    retries: int = 4
    concurrency: int = 4
    price: tuple[float, float] | None = None  # per million tokens: prompt, completion

    @property
    def shown(self) -> str:
        """The address without user, password, query and fragment, which may be secrets."""
        return shown_address(self.url)


@dataclass
class Client:
    """Asks one endpoint, from several threads; remembers which parameters it rejects."""

    endpoint: Endpoint
    dropped: tuple[str, ...] = ()
    _inner: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._inner = _client(self.endpoint)

    def ask(self, request: Request) -> Answer:
        """Ask once, with the client's retries; an `Answer` whatever happens."""
        started = time.monotonic()
        known = before = self.dropped
        answer = self._try(request, known)
        for drop in ATTEMPTS:
            if answer.error is None or not answer.error.startswith("rejected"):
                break
            more = [name for name in drop if name in request.body]
            if not set(more) - set(known):
                continue
            known = (*before, *(name for name in more if name not in before))
            answer = self._try(request, known)
        if answer.error is None:
            self.dropped = known
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return _with_clock(answer, round(time.monotonic() - started, 3), now)

    def _try(self, request: Request, dropped: tuple[str, ...]) -> Answer:
        import openai  # noqa: PLC0415 - an extra

        sent = {k: v for k, v in request.body.items() if k not in dropped}
        sent["model"] = self.endpoint.model
        create = self._inner.completions.with_streaming_response.create
        if request.api == "chat":
            create = self._inner.chat.completions.with_streaming_response.create
        try:
            with create(**sent) as response:
                raw = _bounded(response, self.endpoint.timeout)
        except openai.APIStatusError as error:
            code = error.status_code
            kind = "rejected" if code in REJECTIONS else "status"
            return _failed(self.endpoint, request, dropped, f"{kind}: HTTP {code}")
        except openai.APIConnectionError as error:
            what = "timeout" if isinstance(error, openai.APITimeoutError) else "connection"
            return _failed(self.endpoint, request, dropped, f"{what}: no answer")
        except _errors_of_transport() as error:  # while the body came
            return _failed(self.endpoint, request, dropped, f"broken: {type(error).__name__}")
        return _parsed(self.endpoint, request, dropped, raw)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def _errors_of_transport() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP library that the openai client uses, and the system's."""
    loaded = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    ours = (error for library in loaded for error in (library.HTTPError, library.StreamError))
    return (*ours, OSError)


def _client(endpoint: Endpoint) -> Any:
    try:
        import openai  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise Unavailable(
            Reason.UNSUPPORTED,
            Text("Asking an endpoint needs the openai client, which is not installed."),
            Text("pip install 'pytest-scratchverify[behaviour]'"),
        ) from None
    key = os.environ.get(KEY_VARIABLE, "")
    # Named explicitly: the client would else send OPENAI_API_KEY, organisation and project of
    # the environment to whatever address is under test.
    unset = openai.Omit()
    headers: Any = {"OpenAI-Organization": unset, "OpenAI-Project": unset}
    return openai.OpenAI(
        api_key=key or "none",
        base_url=endpoint.url.rstrip("/"),
        timeout=endpoint.timeout,
        max_retries=endpoint.retries,
        default_headers=headers,
    )


def _bounded(response: Any, seconds: float) -> bytes:
    """Read a body up to `LARGEST_BODY` and no longer than `seconds`, however slowly it drips."""
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > LARGEST_BODY or time.monotonic() > deadline:
            raise OSError("too large or too slow")
        parts.append(part)
    return b"".join(parts)


def _parsed(endpoint: Endpoint, request: Request, dropped: tuple[str, ...], raw: bytes) -> Answer:
    try:
        data = json.loads(raw)
        choice = data["choices"][0]
        text = choice["message"]["content"] if request.api == "chat" else choice["text"]
        if text is None:  # some servers send null for "nothing"
            text = ""
        if not isinstance(text, str):
            raise TypeError("no text")  # noqa: TRY301 - one place for every malformed answer
    except (ValueError, LookupError, TypeError, RecursionError):
        return _failed(endpoint, request, dropped, "malformed: no answer in the reply")
    usage = data.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    reason = choice.get("finish_reason")
    return Answer(
        api=request.api,
        body=request.body,
        model=endpoint.model,
        text=text[:LONGEST_ANSWER],
        finish_reason=str(reason)[:40] if reason is not None else None,
        prompt_tokens=_integer(counts.get("prompt_tokens")),
        completion_tokens=_integer(counts.get("completion_tokens")),
        dropped=dropped,
        top=_top(choice.get("logprobs"), request.api),
    )


def _top(given: Any, api: str) -> dict[str, float] | None:
    """Return the log probabilities of the first token, from either interface's layout.

    A server that gives none, or gives nonsense, gave none.
    """
    try:
        if api == "chat":
            rows = given["content"][0]["top_logprobs"]
            return log_probabilities({row["token"]: row["logprob"] for row in reversed(rows)})
        return log_probabilities(given["top_logprobs"][0])
    except (LookupError, TypeError, AttributeError):
        return None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 10**9 else None


def _failed(endpoint: Endpoint, request: Request, dropped: tuple[str, ...], what: str) -> Answer:
    return Answer(
        api=request.api,
        body=request.body,
        model=endpoint.model,
        text=None,
        dropped=dropped,
        error=what,
    )


def _with_clock(answer: Answer, seconds: float, now: str) -> Answer:
    return replace(answer, seconds=seconds, time=now)
