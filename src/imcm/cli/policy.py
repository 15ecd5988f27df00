"""
Commands about rules: a policy file, the gate of a pipeline, and what if it were another one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from imcm.cli.common import (
    AsFormat,
    AsJson,
    AsJsonFormat,
    AsOf,
    Format,
    KnownAt,
    LedgerPath,
    NoViews,
    PeriodEnd,
    PeriodStart,
    PeriodText,
    ViewsFile,
    Zone,
    complain,
    format_of,
    in_zone,
    known_at_of,
    later,
    moment,
    period_of,
    print_document,
    print_json,
    say,
    show,
    unanswered,
)
from imcm.domain.policy import Policy
from imcm.errors import InvalidValue, StepRefused
from imcm.interchange.toml_files import STRICT, read_policy
from imcm.ledger.gates import Gate
from imcm.ledger.reading import LedgerReader
from imcm.projections.figures.units import SHAPE

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
policy_app = typer.Typer(
    no_args_is_help=True, help="Write, check, try and compare policies.", rich_markup_mode=None
)
app.add_typer(policy_app, name="policy")

PolicyFile = Annotated[Path, typer.Argument(help="A policy, as a TOML file.")]


# --- the file -------------------------------------------------------------------------------------


@policy_app.command("check")
def check(file: PolicyFile, as_json: AsJson = False) -> None:
    """
    Say whether a file is a policy; a wrong key or value is named, with what is allowed.

    So is what is wrong in the tests that it holds.
    """
    policy = read_policy(file)
    beside = _tests_beside(file)
    for who, name, near in policy.taken_as_people():
        hint = f"; near the group {near!r}" if near else ""
        complain(f"{who}: {name!r} is no group, so it is taken as a person{hint}")
    if as_json:
        print_json(policy.as_dict())
    else:
        tests = "test" if beside == 1 else "tests"
        with_tests = f", with {beside} {tests}; imcm policy test plays them" if beside else ""
        say(f"{file} is a policy: {policy.name} {policy.version}{with_tests}")


def _tests_beside(file: Path) -> int:
    """Return how many tests there are in the file of a policy; a wrong one is refused."""
    from imcm.interchange.policy_tests import read_policy_tests
    from imcm.interchange.toml_files import read_toml

    return len(read_policy_tests(file)) if read_toml("policy", file).get("tests") else 0


@policy_app.command("explain")
def explain(
    file: Annotated[Path, typer.Argument(help="A policy, or a ledger: what is in force.")],
) -> None:
    """Say in words what a policy asks."""
    say(*_policy_or_in_force(file).explain().splitlines())


@policy_app.command("diff")
def diff(
    file: PolicyFile,
    other: Annotated[Path, typer.Argument(help="Another one, or a ledger: what is in force.")],
    as_json: AsJson = False,
) -> None:
    """List what two policies say differently; exit with 1 where they do."""
    with unanswered():
        first, second = read_policy(file), _policy_or_in_force(other)
    found = first.differences(second)
    if as_json:
        rows = [{"key": key, "first": mine, "second": theirs} for key, mine, theirs in found]
        print_json({"shape": SHAPE, "total": len(rows), "rows": rows})
    elif found:
        show(("key", f"{first.name} {first.version}", f"{second.name} {second.version}"), found)
    else:
        say("they say the same")
    if found:
        raise typer.Exit(1)


def _policy_or_in_force(path: Path) -> Policy:
    """Return the policy of a TOML file, or the one in force in a ledger."""
    if path.suffix.casefold() == ".toml":
        return read_policy(path)
    with LedgerReader(path) as book:
        return book.rules().policy or Policy()


@policy_app.command("test")
def play(
    file: PolicyFile,
    tests: Annotated[
        Path | None, typer.Argument(help="Its tests; those in the file itself if absent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play the tests of a policy; exit with 1 where one fails, with 2 where they can't be read."""
    from imcm.interchange.policy_tests import read_policy_tests, run_policy_tests

    with unanswered():
        outcomes = run_policy_tests(read_policy(file), read_policy_tests(tests or file))
    failed = sum(not outcome.passed for outcome in outcomes)
    if as_json:
        rows = [outcome.as_dict() for outcome in outcomes]
        print_json({"shape": SHAPE, "total": len(rows), "rows": rows})
    else:
        say(*outcomes, f"{len(outcomes) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


@policy_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of policy files, for editors."""
    from imcm.interchange.policy_schema import policy_schema

    print_json(policy_schema())


@policy_app.command("strict")
def strict() -> None:
    """Print a strict policy to begin with, with its tests: copy it, and name your people."""
    say(*STRICT.read_text(encoding="utf-8").splitlines())


@policy_app.command("frozen")
def frozen(
    file: Annotated[Path, typer.Argument(help="A policy, or a ledger: what is in force.")],
    at: Annotated[str | None, typer.Option("--at", help="At this time; now if absent.")] = None,
    service: Annotated[str | None, typer.Option(help="For changes of this service.")] = None,
    environment: Annotated[str | None, typer.Option(help="Production if absent.")] = None,
    tz: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Say whether changes may start, until when not, and what is let through."""
    from imcm.domain.policy.scope import Content

    services = () if service is None else (service,)
    content = Content(services=services, environment=environment)
    answer = _policy_or_in_force(file).frozen(moment("--at", at, tz) or datetime.now(UTC), content)
    if as_json:
        print_json({"shape": SHAPE, **in_zone(answer, tz).as_dict()})
    else:
        say(in_zone(answer, tz))


@policy_app.command("calendar")
def calendar(
    file: Annotated[
        Path | None, typer.Argument(help="An iCalendar file; or give --country.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Public holidays of a country, such as GB.")
    ] = None,
    subdivision: Annotated[str | None, typer.Option(help="Of a part of it, such as ENG.")] = None,
    since: Annotated[str | None, typer.Option(help="First moment; now if absent.")] = None,
    until: Annotated[str | None, typer.Option(help="A year on if absent.")] = None,
    name: Annotated[str, typer.Option(help="What the freeze is called.")] = "calendar",
    only: Annotated[
        str | None, typer.Option(help="Only events with this in their title or category.")
    ] = None,
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="Maintenance windows, and no freeze.")
    ] = False,
    tz: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Print the freeze, or maintenance window, that a calendar makes: a table for a policy file."""
    from imcm.interchange.calendars import calendar_events, holiday_events

    if (file is None) is (country is None):
        raise typer.BadParameter("give a calendar file or --country, and not both")
    begin = moment("--since", since, tz) or datetime.now(UTC)
    end = moment("--until", until, tz) or later("--until", begin, timedelta(days=365))
    if file is not None:
        events = calendar_events(file, since=begin, until=end, time_zone=tz, only=only)
    else:
        events = holiday_events(
            country or "", time_zone=tz, since=begin, until=end, subdivision=subdivision
        )
    made = events.as_maintenance(name) if maintenance else events.as_freeze(name)
    plain = made.as_dict()
    if as_json:
        print_json(plain)
        return
    say(*(f"# {line}" for line in events.explain().splitlines()), "")
    say(
        "[[maintenance]]" if maintenance else "[[freezes]]",
        f"name = {json.dumps(name, ensure_ascii=False)}",
    )
    windows = [
        f"    {{start = {each['start']}, end = {each['end']}}}," for each in plain["windows"]
    ]
    say("windows = [", *windows, "]")


# --- the past -------------------------------------------------------------------------------------


@app.command("what-if")
def what_if_(
    file: PolicyFile,
    ledger: LedgerPath,
    versus: Annotated[
        Path | None, typer.Option(help="Another policy to compare with, as a TOML file.")
    ] = None,
    window: PeriodText = None,
    start: PeriodStart = None,
    end: PeriodEnd = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List every change it would have stopped.")
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Say what a policy would have stopped in the past, how much of that failed, and its price."""
    from imcm.domain.recorded import known
    from imcm.projections.reports.what_if import what_if

    period = period_of(window, start, end, tz)
    policies = [read_policy(path) for path in (file, versus) if path is not None]
    with LedgerReader(ledger) as book:
        log = tuple(known(book.replay(words=False), known_at_of(known_at, tz, book)))
    until = moment("--as-of", as_of, tz)
    results = [what_if(log, each, window=period, time_zone=tz, as_of=until) for each in policies]
    first = results[0]
    both = first.versus(results[1]) if len(results) > 1 else None
    if as_json:
        print_json(first.as_dict() if both is None else both.as_dict())
        return
    say(*(first if both is None else both).explain().splitlines())
    if listed:
        say("", *(in_zone(each, tz) for result in results for each in result.stopped))


@app.command("duties")
def duties_(
    ledger: LedgerPath,
    window: PeriodText = None,
    start: PeriodStart = None,
    end: PeriodEnd = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    table: Annotated[bool, typer.Option("--table", help="Print a row for each change.")] = False,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """List who did what on every change that went in, and which rules held; exceptions first."""
    format = format_of(format, as_json)
    from imcm.projections.histories.duties import duties

    period = period_of(window, start, end, tz)
    with LedgerReader(ledger) as book:
        known = known_at_of(known_at, tz, book)
        found = duties(book.replay(), window=period, time_zone=tz, known_at=known)
    if table and format is not Format.TEXT:
        raise typer.BadParameter("--table is text: leave out --format")
    if format is Format.JSON:
        print_json(found.as_dict())
    elif format is Format.CSV:
        say(*found.to_csv().splitlines())
    elif format is not Format.TEXT:
        print_document(found.document(), format)
    elif table:
        columns = ("change", "type", "ruling", "requested by", "approved by", "implemented by",
                   "exceptions", "events")  # fmt: skip
        show(columns, [tuple(row[column] for column in columns) for row in found.table()])
    else:
        say(*found.explain().splitlines())


@app.command("risk")
def risk(
    id: Annotated[str, typer.Argument(help="A change.")],
    ledger: LedgerPath,
    at: Annotated[
        str | None, typer.Option("--at", help="If it went in at this time; as planned if absent.")
    ] = None,
    tz: Zone = "UTC",
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """Say how likely a change is to fail, judged by those before it, and what stands out."""
    from imcm.cli.boards import facts_now
    from imcm.projections.reports.risk import risk_of

    with LedgerReader(ledger) as book:
        known = facts_now(book, ledger, views, no_views)
    found = risk_of(known, id, at=moment("--at", at, tz))
    if as_json:
        print_json(found.as_dict())
    else:
        say(*found.explain().splitlines())


# --- now ------------------------------------------------------------------------------------------


@app.command("gate")
def gate(
    id: Annotated[str, typer.Argument(help="A change.")],
    ledger: LedgerPath,
    by: Annotated[str | None, typer.Option(help="Who would start it.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="When; now if absent.")] = None,
    rollout_plan: Annotated[
        str | None,
        typer.Option(help='Steps it would go up by, in percent: "5,50,100"; "" for at once.'),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep a refusal in the history of the change.")
    ] = False,
    tz: Zone = "UTC",
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """
    Say whether a change may start: exit with 0, or with 1 and the reason.

    Exit with 2 where nobody could be asked: no such ledger, no such change.
    """
    if record and by is None:
        raise typer.BadParameter("--record needs --by")
    with unanswered():
        when, plan = moment("--at", at, tz), _percentages(rollout_plan)
    with unanswered(), LedgerReader(ledger) as book:
        policy, context = book.rules().policy, None
        if policy is not None and policy.refuse_conflicts:
            from imcm.cli.boards import opened_views

            with opened_views(book, ledger, views, no_views) as kept:
                context = kept.context(id, at=when)
        asked = book.gate(id, by=by, at=when, context=context, rollout_plan=plan)
    if record and not asked.open:
        with unanswered():
            _keep(ledger, asked, by or "")
    if as_json:
        print_json({"shape": SHAPE, **asked.as_dict()})
    else:
        say(in_zone(asked, tz))
    if not asked.open:
        raise typer.Exit(1)


def _percentages(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InvalidValue("--rollout-plan", text, 'percentages, such as "5,50,100"') from None


def _keep(ledger: Path, asked: Gate, by: str) -> None:
    from imcm.domain import change
    from imcm.ledger.recording import Ledger

    with Ledger(ledger, must_exist=True, record_refusals=True) as book:
        try:
            book.record(asked.change, change.gate, by=by, at=asked.at, context=asked.context)
        except StepRefused:
            return
