"""What is sent for a probe, and the key by which its answer is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_scratchverify.methods.behaviour.asking.probes import Kind, Probe

APIS = ("chat", "completions")
SEED = 20260101
PARAMETERS: Mapping[str, Any] = {"temperature": 0, "seed": SEED}
# As many as every server gives that gives any: the older interface allows five.
LOGPROBS: Mapping[str, Mapping[str, Any]] = {
    "chat": {"logprobs": True, "top_logprobs": 5},
    "completions": {"logprobs": 5},
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server gets it, without the model's name.

    Answers of two models are compared only under equal keys: the same text through the same
    interface with the same parameters.
    """

    api: str
    body: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The digest of interface and body, 24 hex digits."""
        return key_of(self.api, self.body)


def request_for(probe: Probe, api: str) -> Request:
    """Return the request of a probe: temperature 0, a fixed seed, a bounded length.

    Of a single token its most probable rivals are asked as well, with their log probabilities.
    """
    body: dict[str, Any] = {**PARAMETERS, "max_tokens": probe.max_tokens}
    if probe.kind is Kind.NEXT_TOKEN:
        body |= LOGPROBS[api]
    if api == "chat":
        body["messages"] = [{"role": "user", "content": probe.prompt}]
    else:
        body["prompt"] = probe.prompt
    return Request(api, body)


def key_of(api: str, body: Mapping[str, Any]) -> str:
    """Return the key of a request; equal for equal content, whatever the order of fields."""
    text = json.dumps([api, body], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
