"""A sentence that is written once and said in every language.

Findings travel between processes and end up in reports of several languages, so a
sentence is kept as its English template and its parameters. The template is the key of
the message catalogue (gettext's convention); `report.language` translates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter

from pytest_scratchverify.core.json_values import Json, to_builtin
from pytest_scratchverify.core.visible import visible


@dataclass(frozen=True, slots=True, init=False)
class Text:
    """An English template with named parameters, which may be texts themselves.

    Example: ``str(Text("{n} of {total} fields", n=4, total=5))`` is ``"4 of 5 fields"``.
    """

    template: str
    params: Mapping[str, Json] = field(default_factory=dict)

    def __init__(self, template: str, /, **params: object) -> None:
        object.__setattr__(self, "template", template)
        plain = {key: _plain(params[key]) for key in sorted(params)}
        object.__setattr__(self, "params", plain)

    @classmethod
    def filled(cls, template: str, values: Mapping[str, object]) -> Text:
        """Return a template, chosen from a table, with those of `values` that it names."""
        names = {name for _, name, _, _ in Formatter().parse(template)}
        return cls(template, **{key: value for key, value in values.items() if key in names})

    def __str__(self) -> str:
        return self.render(self.template)

    def __repr__(self) -> str:
        # What pytest prints of ``assert not finding.derived, finding.headline``.
        return str(self)

    def render(self, template: str, say: Callable[[str], str] = str) -> str:
        """Fill `template` (this text's own, or its translation) with the parameters, made visible.

        `say` translates the templates of parameters that are texts.
        """
        parts = []
        for literal, name, _, _ in Formatter().parse(template):
            parts.append(literal)
            if name is not None:  # nothing else of format's language: a template may be foreign
                value = self.params[name]
                parts.append(_p_value(value) if name == "p" else _shown(value, say))
        return "".join(parts)

    def __hash__(self) -> int:
        return hash((self.template, repr(self.params)))


class Term(StrEnum):
    """Base of enums whose values are templates: words of ours that reports translate."""


_NESTED = {"template", "params"}
# A p-value that a float cannot hold is kept as 1e-300; adjusted for many tests, it is larger.
FLOOR_OF_P = 1e-296
MAX_ITEMS = 100  # of a list that a sentence names


def _plain(value: object) -> Json:
    if isinstance(value, Text):
        return {"template": value.template, "params": to_builtin(value.params)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return to_builtin(value)


def below_floor(pvalue: float | None) -> bool:
    """Whether a p-value only says that it is smaller than what was kept of it."""
    return pvalue is not None and pvalue < FLOOR_OF_P


def _p_value(value: Json) -> str:
    shown = _shown(value, str)
    return f"< {shown}" if isinstance(value, float) and below_floor(value) else shown


def as_text(value: Json) -> Text | None:
    """Return the text that a parameter holds; None for anything else, be it a file's like one."""
    if not isinstance(value, dict) or set(value) != _NESTED:
        return None
    try:
        return Text(str(value["template"]), **value["params"])  # type: ignore[arg-type]
    except TypeError:
        return None


def _shown(value: Json, say: Callable[[str], str]) -> str:
    if nested := as_text(value):
        try:
            return nested.render(say(nested.template), say)
        except (KeyError, TypeError, ValueError):  # no text of ours but a file's object like one
            return visible(str(value))
    if isinstance(value, list):
        more = [f"... ({len(value):,})"] if len(value) > MAX_ITEMS else []
        return ", ".join([*(_shown(item, say) for item in value[:MAX_ITEMS]), *more])
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "-"
    if isinstance(value, int):
        # Grouped digits only where a reader would lose count; 4096 and 2026 stay as they are.
        return visible(f"{value:,}") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return visible(str(value))
