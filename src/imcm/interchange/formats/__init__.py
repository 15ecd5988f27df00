"""
Formats of other tools: each turns one payload into statements, and knows nothing else.

    from imcm.interchange.formats import format_named

    read = format_named("alertmanager").read(payload)
    read.statements, read.dropped

No server and no ledger is needed. `imcm formats` lists them; docs/formats.md says of each what it
takes a status for, and by what two statements are ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Literal, cast

import attrs

from imcm.domain.vocabulary import checked_text, is_mapping, near_hint
from imcm.errors import InvalidValue
from imcm.interchange.payloads import DEFAULT, Options
from imcm.interchange.statements import Read, with_outcomes

__all__ = ["FORMATS", "Format", "format_named", "payloads_of"]

Order = Literal["time", "number", "receipt"]


@attrs.frozen(kw_only=True)
class Format:
    """
    One format.

    Attributes:
        name: Its name: "alertmanager".
        title: What it is, in one line.
        source: The name under which it is recorded where nobody gives another.
        order: By what two statements about one thing are ordered: the "time" or a "number" that the
            source gives; "receipt" where it gives none, so that what arrives last counts.
        statuses: The source's own words, and what each is to us; for the docs.
        words: Facts whose words the options may say: "severity" for `values.severity`.
        fields: Fields of one's own that `values.field` may say the place of, by our names.
        severities: Our severities by the source's words, in small letters, where none are given.
        verdicts: Whether what the source calls deployed or failed is its verdict on how the change
            went, and not only that it is there.
        listed_in: Keys under which a file has a list of payloads: {"result": [...]}.
        statements: The function that reads one payload.
    """

    name: str
    title: str
    source: str
    order: Order
    statuses: Mapping[str, str]
    severities: Mapping[str, str] = MappingProxyType({})
    verdicts: bool = False
    listed_in: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    statements: Callable[[Any, Options], Read] = attrs.field(repr=False)

    def read(self, payload: object, options: Options = DEFAULT) -> Read:
        """
        Return what a payload says, and what of it does not fit.

        Args:
            payload: The JSON of it, decoded.
            options: How it is read.

        Raises:
            InvalidValue: It is no such payload: what it is about can't be told, or a time has no
                zone; or the options are none of this format.
        """
        self.check(options)
        if not is_mapping(payload):
            raise InvalidValue("payload", type(payload).__name__, "a JSON object")
        read = self.statements(payload, options)
        return with_outcomes(read) if self.verdicts else read

    def check(self, options: Options) -> None:
        """
        Refuse options that say what this format never asks, which would change nothing, unseen.

        Raises:
            InvalidValue: `values` has a fact that is none of `words`, or `values.field` one that is
                none of `fields`.
        """
        if not isinstance(options, Options):
            raise InvalidValue("options", options, "give Options(tz=..., values=...)")
        if not options.values:
            return
        _asked("values", options.values, (*self.words, *(("field",) if self.fields else ())), self)
        _asked("values.field", options.values.get("field", {}), self.fields, self)


def _asked(where: str, given: Mapping[str, object], asked: tuple[str, ...], by: Format) -> None:
    for name in given:
        if name not in asked:
            there_are = ", ".join(asked) or "no words"
            allowed = f"{by.name} asks for {there_are}{near_hint(name, asked)}"
            raise InvalidValue(where, name, allowed)


_IN: Final = "imcm.interchange.formats"
FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alertmanager": f"{_IN}.alertmanager:ALERTMANAGER",
        "argo-rollouts": f"{_IN}.argo_rollouts:ARGO_ROLLOUTS",
        "argocd": f"{_IN}.argocd:ARGOCD",
        "cdevents": f"{_IN}.cdevents:CDEVENTS",
        "devlake": f"{_IN}.devlake:DEVLAKE",
        "firehydrant": f"{_IN}.firehydrant:FIREHYDRANT",
        "github": f"{_IN}.github:GITHUB",
        "github-deployments": f"{_IN}.github:GITHUB_DEPLOYMENTS",
        "gitlab": f"{_IN}.gitlab:GITLAB",
        "grafana": f"{_IN}.grafana:GRAFANA",
        "incident-io": f"{_IN}.incident_io:INCIDENT_IO",
        "jira": f"{_IN}.jira:JIRA",
        "jira-changes": f"{_IN}.jira:JIRA_CHANGES",
        "kubernetes": f"{_IN}.kubernetes:KUBERNETES",
        "launchdarkly": f"{_IN}.launchdarkly:LAUNCHDARKLY",
        "opsgenie": f"{_IN}.opsgenie:OPSGENIE",
        "pagerduty": f"{_IN}.pagerduty:PAGERDUTY",
        "pagerduty-changes": f"{_IN}.pagerduty_changes:PAGERDUTY_CHANGES",
        "rootly": f"{_IN}.rootly:ROOTLY",
        "servicenow-audit": f"{_IN}.servicenow:SERVICENOW_AUDIT",
        "servicenow-changes": f"{_IN}.servicenow:SERVICENOW_CHANGES",
        "servicenow-incidents": f"{_IN}.servicenow:SERVICENOW_INCIDENTS",
        "signalfx": f"{_IN}.signalfx:SIGNALFX",
        "splunk": f"{_IN}.splunk:SPLUNK",
        "statuspage": f"{_IN}.statuspage:STATUSPAGE",
        "terraform": f"{_IN}.terraform:TERRAFORM",
        "terraform-plan": f"{_IN}.terraform:TERRAFORM_PLAN",
        "upptime": f"{_IN}.upptime:UPPTIME",
    }
)
"""Where each format is defined; it is loaded when it is asked for."""


def format_named(name: str) -> Format:
    """
    Return a format by its name.

    Args:
        name: One of `FORMATS`, as `imcm formats` lists them.

    Raises:
        InvalidValue: There is none of this name.
    """
    place = FORMATS.get(checked_text("format", name))
    if place is None:
        allowed = f"one of {', '.join(sorted(FORMATS))}{near_hint(name, FORMATS)}"
        raise InvalidValue("format", name, allowed)
    module, _, attribute = place.partition(":")
    made: Format = getattr(import_module(module), attribute)
    return made


def payloads_of(value: object, made: Format) -> Iterator[object]:
    """
    Yield the payloads of a JSON text.

    It is one payload, or a page of them under a key of the format, or a list of payloads, of pages,
    and of lists of these: pages of an API put into one list.
    """
    if isinstance(value, list):
        for each in cast("list[object]", value):
            yield from payloads_of(each, made)
        return
    if is_mapping(value):
        for key in made.listed_in:
            if isinstance(value.get(key), list):
                yield from value[key]
                return
    yield value
