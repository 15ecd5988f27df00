"""
What a step has to be told of other streams, where a policy asks for it.
"""

from __future__ import annotations

import attrs

from imcm.domain.vocabulary import (
    Window,
    checked_number,
    checked_text,
    checked_window,
    is_list,
    known_id,
)
from imcm.errors import InvalidValue


def _conflicts(value: object) -> tuple[str, ...]:
    """Return ids of changes that are there already, each once."""
    if not is_list(value):
        raise InvalidValue("conflicts", value, 'a list of ids, such as ["CHG-7"]')
    return tuple(dict.fromkeys(known_id("conflicts", each) for each in value))


@attrs.frozen(kw_only=True)
class Context:
    """
    What stood in other streams at one position of the log; `views.context(id, ...)` gathers it.

    Attributes:
        position: The position of the newest event that was read; the event of the step keeps it.
        change: The change that it was gathered for; "" says nothing.
        content: The version of the content that it was gathered for.
        window: The window that conflicts were looked for in; None where there is none.
        conflicts: The changes that are planned, or go in, at the same time on the same services or
            on related ones.
        template: The name of the template that was asked for; "" where none was.
        template_failures: How many changes by it failed within its time; None where none was asked
            for.

    Raises:
        InvalidValue: One of them is not as described.
    """

    position: int
    change: str = ""
    content: int = 0
    window: Window | None = None
    conflicts: tuple[str, ...] = attrs.field(default=(), converter=_conflicts)
    template: str = ""
    template_failures: int | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("position", "content"):
            if checked_number(name, getattr(self, name)) < 0:
                raise InvalidValue(name, getattr(self, name), "0 or more")
        checked_window("window", self.window)
        for name in ("change", "template"):
            checked_text(name, getattr(self, name))
        failures = self.template_failures
        if failures is not None and checked_number("template_failures", failures) < 0:
            raise InvalidValue("template_failures", failures, "0 or more")


def checked_context(value: object) -> Context | None:
    """Return *value* if it is one, or None."""
    if value is None or isinstance(value, Context):
        return value
    allowed = "what views.context(id, ...) gathers, a Context(position=..., ...)"
    raise InvalidValue("context", value, allowed)
