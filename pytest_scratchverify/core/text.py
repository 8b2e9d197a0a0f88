"""A sentence that is written once and said in every language.

Findings travel between processes and end up in reports of several languages, so a
sentence is kept as its English template and its parameters. The template is the key of
the message catalogue (gettext's convention); `report.language` translates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter

from pytest_scratchverify.core.json_values import Json, to_builtin


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
        """Fill `template` (this text's own, or its translation) with the parameters.

        `say` translates the templates of parameters that are texts.
        """
        return template.format(**{key: _shown(value, say) for key, value in self.params.items()})

    def __hash__(self) -> int:
        return hash((self.template, repr(self.params)))


_NESTED = {"template", "params"}


def _plain(value: object) -> Json:
    if isinstance(value, Text):
        return {"template": value.template, "params": to_builtin(value.params)}
    return to_builtin(value)


def _shown(value: Json, say: Callable[[str], str]) -> str:
    if isinstance(value, dict) and set(value) == _NESTED:
        nested = Text(str(value["template"]), **value["params"])  # type: ignore[arg-type]
        return nested.render(say(nested.template), say)
    if isinstance(value, list):
        return ", ".join(_shown(item, say) for item in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "-"
    if isinstance(value, int):
        # Grouped digits only where a reader would lose count; 4096 and 2026 stay as they are.
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
