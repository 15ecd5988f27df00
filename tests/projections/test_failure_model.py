"""
How likely a change is to fail: against a slow count of what was known, and never of what was not.
"""

import csv
import gzip
import io
import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from imcm import facts
from imcm.domain import change as change_steps
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangePlanned,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import ChangeType, Commit, Kind, Window
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.reports.calibration import calibration
from imcm.projections.reports.failure_history import (
    FACTORS,
    NEVER,
    failure_history,
    levels_of,
    levels_of_all,
)
from imcm.projections.reports.failure_model import (
    HALF_LIFE,
    definition_of,
    failure_model,
)
from imcm.projections.reports.proposed import ProposedChange, proposed
from projections.log import at, caused_by, change, deployment, detected, incident, log, planned

DATA = Path(os.environ.get("IMCM_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
WIKIMEDIA = DATA / "wikimedia_config_changes" / "changes.csv.gz"

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 (it is refused)
MICROSECONDS = 3_600_000_000


def rolled_back(hours):
    return ChangeRolledBack(at=at(hours), by="ci", reached_production=True)


def commits(*names):
    return CommitsRecorded(at=at(0), by="ci", commits=tuple(Commit(id=name) for name in names))


def some_log(seed=1, count=300, *, until=math.inf, known=math.inf):
    """
    Return deployments of three services, some of which fail in four ways.

    Args:
        until: Only those before so many hours.
        known: Only failures known before so many hours.
    """
    chance = Random(seed)
    streams = []
    hours = 0.0
    for n in range(count):
        hours += chance.expovariate(1 / 7)
        services = chance.choice([("pay",), ("web",), ("db",), ("pay", "web")])
        kind = chance.choice([Kind.DEPLOYMENT, Kind.CONFIGURATION])
        bad = chance.random() < (0.4 if services == ("pay",) else 0.08)
        after, way = hours + chance.expovariate(1 / 20), chance.randrange(3)
        load = [f"c{n}-{i}" for i in range(chance.randrange(6))]
        if hours >= until:
            continue
        more = [commits(*load)] if load else []
        if bad and after < known and way == 0:
            more.append(rolled_back(after))
        streams.append(deployment(f"CHG-{n:04}", hours, *more, services=services, kind=kind))
        if bad and after < known and way == 1:
            id_ = f"INC-{n:04}"
            streams.append(incident(id_, detected(after), caused_by(f"CHG-{n:04}", after)))
        if bad and after < known and way == 2 and after < until:
            fields = {"repairs": f"CHG-{n:04}", "services": services}
            streams.append(deployment(f"REP-{n:04}", after, **fields))
    return log(*streams)


# --- what was known when --------------------------------------------------------------------------


def test_a_failure_is_known_when_its_first_sign_is():
    """The roll back, the failed end, the detection of the incident, the repair; the first wins."""
    known = facts(
        log(
            deployment("A", 10, rolled_back(13)),
            change("B", planned(9), ChangeFailed(at=at(20), by="ci", reached_production=True)),
            deployment("C", 30),
            incident("INC-1", detected(33), caused_by("C", 50)),
            incident("INC-2", detected(32), caused_by("C", 51)),
            deployment("D", 40, rolled_back(90)),
            deployment("E", 45, repairs="D"),
            deployment("F", 60),
            incident("INC-3", detected(55), caused_by("F", 70)),
            deployment("G", 70, ChangeRolledBack(at=None, by="x", reached_production=True)),
            deployment("H", 80, type=ChangeType.EMERGENCY),
            deployment("I", 85, repairs="I"),
        )
    )
    history = failure_history(known, definition_of())
    named = {history.deployed.id(index): history.failed_at[index] for index in range(9)}
    start = at(0)

    def hours(value):
        return (value - int(start.timestamp()) * 1_000_000) / MICROSECONDS

    assert {name: hours(value) for name, value in named.items() if value != NEVER} == {
        "A": 13,
        "B": 20,
        "C": 32,
        "D": 45,
        "F": 60,  # never before its own deployment
        "G": 10_000,  # nobody says when: it is known at the end
    }
    assert named["E"] == named["H"] == named["I"] == NEVER
    assert [known.incidents[i].id for i in history.incidents_of(2)] == ["INC-1", "INC-2"]
    only = failure_history(known, definition_of(failed_by=["rolled_back"]))
    failed = [only.deployed.id(i) for i in range(9) if only.failed_at[i] != NEVER]
    assert failed == ["A", "D", "G"]
    assert only.incidents_of(2) == ()


def naive_levels(known, row, when, service, time_zone="UTC"):
    """Return the levels of a change by looking at everything there is."""
    history = failure_history(known, definition_of())
    of_service = [
        (history.deployed[i].at, history.failed_at[i], i)
        for i in range(len(history.deployed))
        if service in history.deployed.change(i).services and history.deployed[i].at < when
    ]
    instant = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    failures = [
        history.failed_at[i]
        for i in range(len(history.deployed))
        if service in history.deployed.change(i).services and history.failed_at[i] < instant
    ]
    if failures:
        hours = (instant - max(failures)) / MICROSECONDS
        bounds = [(1, "within an hour"), (6, "within 6 hours"), (24, "within a day")]
        bounds += [(72, "within 3 days"), (168, "within a week"), (720, "within 30 days")]
        last = next((name for bound, name in bounds if hours <= bound), "longer ago")
    else:
        last = "none before"
    if len(of_service) < 10:
        recent = "fewer than 10 deployments"
    else:
        count = sum(failed < instant for _, failed, _ in of_service[-50:])
        names = [(0, "none"), (1, "1"), (4, "2 to 4"), (8, "5 to 8"), (17, "9 to 17")]
        recent = next((name for most, name in names if count <= most), "18 or more")
    local = when.astimezone(ZoneInfo(time_zone))
    hour = local.hour // 3 * 3
    size = len(row.commits)
    sizes = {0: "not known", 1: "1 commit"}
    return (
        service,
        str(row.kind),
        str(row.type),
        "(none)",
        sizes.get(size, "2 to 4 commits" if size < 5 else "5 to 9 commits"),
        f"{hour:02}-{hour + 3:02} h",
        f"{local:%a}",
        last,
        recent,
    )


@pytest.mark.parametrize("time_zone", ["UTC", "Australia/Lord_Howe", "America/New_York"])
def test_levels_are_those_of_a_slow_count(time_zone):
    """Of every deployment and each of its services; clocks change within the log."""
    known = facts(some_log())
    trained = levels_of_all(known, definition_of(time_zone=time_zone), FACTORS, time_zone)
    history = failure_history(known, definition_of(time_zone=time_zone))
    asked = levels_of(history, FACTORS, time_zone)
    expected = []
    for index in range(len(history.deployed)):
        deployed = history.deployed[index]
        mine = [
            naive_levels(known, deployed.change, deployed.at, service, time_zone)
            for service in deployed.change.services
        ]
        expected += mine
        assert asked(proposed(deployed.change), history.deployed.at[index]) == mine
    assert [trained.combinations[number] for number in trained.rows] == expected
    assert sum(trained.shares) == pytest.approx(len(history.deployed))
    assert len(trained.combinations) > 20


def test_a_label_can_be_a_factor_and_ends_of_the_calendar_have_levels():
    """What has none of it is its own level."""
    known = facts(log(deployment("A", 10, labels={"team": "core"}), deployment("B", 20)))
    trained = levels_of_all(known, definition_of(), ("label:team",), "UTC")
    assert trained.combinations == [("core",), ("(none)",)]
    model = failure_model(known, factors=["hour"], time_zone="Asia/Tokyo")
    last = datetime.max.replace(tzinfo=UTC)
    assert model.rate_of(ProposedChange(at=last)).effects[0].level == "21-24 h"


# --- nothing leaks --------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [300, 900, 1500])
def test_what_comes_later_changes_nothing(hours):
    """With later changes and failures in the log or without, it is the same model."""
    before = at(hours)
    whole = facts(some_log())
    cut = facts(some_log(until=hours, known=hours))
    assert len(whole.changes) > len(cut.changes)
    with_all, without = (failure_model(known, before=before) for known in (whole, cut))
    assert (with_all.n, with_all.failed, with_all.rates) == (
        without.n,
        without.failed,
        without.rates,
    )
    asked = ProposedChange(services=["pay"], kind="deployment", at=before, commits=3)
    assert with_all.rate_of(asked) == without.rate_of(asked)
    assert with_all.n


def test_the_future_of_a_change_is_no_part_of_what_is_predicted_for_it():
    """A deployment is predicted as it would have been at its own time, whatever came of it."""
    base = [
        deployment(f"A{n}", n * 5, *([rolled_back(n * 5 + 1)] if n % 3 else [])) for n in range(40)
    ]
    good = facts(log(*base, deployment("X", 201)))
    bad = facts(log(*base, deployment("X", 201, rolled_back(202)), deployment("Y", 300)))
    first, second = (
        failure_model(known, before=at(200)).rate_of(known.changes.get("X"))
        for known in (good, bad)
    )
    assert first == second


# --- the model ------------------------------------------------------------------------------------


def test_rates_are_shares_and_what_fails_more_has_a_higher_one():
    """Payments fail in four of ten, the others in one of twelve."""
    known = facts(some_log(count=600))
    model = failure_model(known)
    rates = {
        name: model.rate_of(ProposedChange(services=[name], kind="deployment", at=at(5000)))
        for name in ("pay", "web", "new")
    }
    assert rates["pay"].rate > 1.5 * rates["web"].rate
    assert all(
        0 < rate.interval.low < rate.rate < rate.interval.high < 1 for rate in rates.values()
    )
    assert not rates["new"].effects[0].known
    both = model.rate_of(ProposedChange(services=["pay", "web"], kind="deployment", at=at(5000)))
    assert rates["web"].rate < both.rate < rates["pay"].rate
    row = known.changes.get("CHG-0003")
    assert model.rate_of(row).at == row.deployed_at
    assert model.rates_of([3]) == [pytest.approx(model.rate_of(row).rate)]
    pair = next(row for row in known.changes if len(row.services) == 2)
    index = known.changes.index_of(pair.id)
    of = failure_history(known, definition_of()).deployed.deployment_indices[index]
    assert model.rates_of([of, of])[0] == pytest.approx(model.rate_of(pair).rate)


def test_changes_like_it_are_counted():
    """Those of the same service, kind, size and hour, and how many of them had failed."""
    known = facts(
        log(
            deployment("A", 0, rolled_back(1)),
            deployment("B", 24),
            deployment("C", 48, rolled_back(300)),
            deployment("D", 72, services=("web", "pay")),
            deployment("E", 84),
            deployment("F", 96, kind=Kind.SCHEMA),
        )
    )
    rate = failure_model(known, before=at(200)).rate_of(
        ProposedChange(services=["pay", "web"], kind="deployment", at=at(240))
    )
    assert rate.like == ("service", "kind", "size", "hour")
    assert (rate.n, rate.failed, rate.n_like, rate.failed_like) == (6, 1, 4, 1)
    assert rate.interval_like.low < 0.25 < rate.interval_like.high


def test_what_is_old_counts_for_less_and_then_for_nothing():
    """Half as much after a half-life; after ten of them it is left out."""
    day = 24
    old = [deployment(f"O{n}", n, rolled_back(n + 1)) for n in range(20)]
    new = [deployment(f"N{n}", 200 * day + n) for n in range(20)]
    known = facts(log(*old, *new))
    short = failure_model(known, before=at(210 * day), half_life=timedelta(days=10), factors=[])
    long = failure_model(known, before=at(210 * day), half_life=timedelta(days=100_000), factors=[])
    asked = ProposedChange(at=at(220 * day))
    assert short.n == 20
    assert long.n == 40
    assert short.rate_of(asked).rate < 0.1
    assert long.rate_of(asked).rate == pytest.approx(0.5, abs=0.01)
    one_day = failure_model(known, before=at(day + 19), half_life=86_400, factors=[])
    assert one_day.rates.weight == pytest.approx(
        sum(2 ** -((day + 19 - n) / day) for n in range(20))
    )


def test_without_deployments_it_is_undefined_and_says_so():
    """Nothing is invented."""
    model = failure_model(facts(log(deployment("A", 10))), before=at(5))
    rate = model.rate_of(ProposedChange(services=["pay"], at=at(7)))
    assert rate.rate is None
    assert repr(rate) == rate.explain() == "failure rate undefined: no deployment was known before"
    assert model.explain().splitlines()[0] == repr(model)
    assert model.as_dict()["whole"] is None
    assert calibration([]).whole is None


def test_it_shows_itself():
    """A line, an explanation, and plain values whose keys are always there."""
    model = failure_model(facts(some_log()))
    rate = model.rate_of(ProposedChange(services=["pay"], kind="deployment", at=at(3000)))
    assert repr(rate).startswith("failure rate ")
    text = rate.explain()
    assert "service pay: odds x" in text
    assert "risk (none): odds x 1.00" in text
    assert "size not known: odds x" in text
    assert "alike in service, kind, size, hour: " in text
    assert "  service: odds spread by x" in model.explain()
    plain = rate.as_dict()
    assert plain["rate"] == rate.rate
    assert plain["effects"][0]["factor"] == "service"
    assert model.as_dict()["factors"]["service"]["effects"]["pay"] > 0
    none = failure_model(facts(some_log()), factors=["weekday"])
    assert none.rate_of(ProposedChange(at=at(3000))).like == ()
    assert "alike" not in none.rate_of(ProposedChange(at=at(3000))).explain()
    unlike = model.rate_of(ProposedChange(services=["new"], at=at(3000))).explain()
    assert "0 of 0 failed" in unlike
    assert "service new: nothing known of it" in unlike


def test_what_a_change_says_of_itself():
    """A row, a state and a proposal; of imported history absent plans are not known."""
    window = Window(start=at(50), end=at(60))
    steps = change_steps.plan(
        change_steps.INITIAL,
        by="ann",
        at=at(1),
        title="x",
        kind=Kind.DEPLOYMENT,
        services=["pay"],
        rollback_plan="undo",
        window=window,
    )
    state = change_steps.INITIAL
    for event in steps:
        state = change_steps.evolve(state, event)
    asked = proposed(state)
    assert (asked.services, asked.kind, asked.at) == (("pay",), Kind.DEPLOYMENT, at(50))
    assert (asked.has_rollback_plan, asked.has_test_plan, asked.gradual) == (True, False, None)
    assert proposed(asked) is asked
    assert hash(asked) == hash(proposed(state))
    bare = proposed(change_steps.INITIAL)
    assert (bare.at, bare.commits, bare.has_test_plan) == (None, None, None)
    running = proposed(state._replace(percent=5.0))
    assert running.gradual
    rows = facts(
        log(
            change("A", planned(1, window=window)),
            deployment("B", 10),
            change(
                "C",
                planned(1, imported=True, has_test_plan=True),
                ChangeCompleted(at=at(2), by="ci", imported=True),
            ),
        )
    ).changes
    first, second, third = map(proposed, rows)
    assert (first.at, first.gradual, first.has_test_plan) == (at(50), None, False)
    assert (second.at, second.gradual) == (at(10), False)
    assert (third.gradual, third.has_rollback_plan, third.has_test_plan) == (None, None, True)
    assert proposed(rows[0]._replace(window=None)).at is None


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"services": "pay"},
        {"kind": "nothing"},
        {"type": None},
        {"risk": "deadly"},
        {"labels": 3},
        {"at": NAIVE},
        {"at": "monday"},
        {"commits": -1},
        {"commits": True},
        {"has_rollback_plan": 1},
        {"gradual": "yes"},
        {"positions": [1]},
        {"positions": ("a",)},
    ],
)
def test_a_proposal_refuses(fields):
    """By our errors."""
    with pytest.raises(InvalidValue):
        ProposedChange(**fields)


@pytest.mark.parametrize(
    "arguments",
    [
        {"before": NAIVE},
        {"before": 3},
        {"factors": ["colour"]},
        {"factors": ["hour", "hour"]},
        {"factors": 3},
        {"half_life": 0},
        {"half_life": math.nan},
        {"half_life": True},
        {"half_life": timedelta(seconds=1)},
        {"half_life": 1e300},
        {"time_zone": "Mars"},
        {"failed_by": ["version_returned"]},
        {"failed_by": ["bad luck"]},
        {"attribution": "guess"},
        {"level": 1},
    ],
)
def test_a_model_refuses(arguments):
    """By our errors."""
    known = facts(log(deployment("A", 10)))
    with pytest.raises(InvalidValue):
        failure_model(known, **arguments)
    if "before" not in arguments:
        with pytest.raises(InvalidValue):
            calibration(known, **arguments)


def test_what_else_is_refused():
    """No time, no change, no log."""
    model = failure_model(facts(log(deployment("A", 10))))
    with pytest.raises(InvalidValue, match="does not say when"):
        model.rate_of(ProposedChange())
    with pytest.raises(InvalidValue, match="its row, its state"):
        model.rate_of("A")
    with pytest.raises(NaiveTimeError):
        model.rate_of(ProposedChange(), at=NAIVE)
    with pytest.raises(InvalidValue, match="the log is empty"):
        failure_model([])
    for every in ("week", 3):
        with pytest.raises(InvalidValue, match="every"):
            calibration([], every=every)
    for bins in (0, True, 1_001):
        with pytest.raises(InvalidValue, match="bins"):
            calibration([], bins=bins)


# --- calibration ----------------------------------------------------------------------------------


def long_log():
    """Return three years in which one service begins to fail more, and stops again."""
    chance = Random(4)
    streams = []
    for n in range(300):
        hours = n * 87.0
        bad = chance.random() < (0.6 if 100 < n < 200 and n % 2 else 0.05)
        # Of some it is known only after more than a year.
        more = [rolled_back(hours + (9_000 if n % 9 == 0 else 3))] if bad else []
        service = "pay" if n % 2 else "web"
        streams.append(deployment(f"C{n:04}", hours, *more, services=(service,)))
    return log(*streams, now=40_000)


@pytest.mark.parametrize(
    ("every", "zone"), [("year", "UTC"), ("quarter", "Asia/Kolkata"), ("month", "UTC")]
)
def test_scores_are_those_of_a_slow_count(every, zone):
    """Each deployment predicted by a model of its own period, and by plain rates."""
    known = facts(long_log())
    judged = calibration(known, every=every, time_zone=zone)
    history = failure_history(known, definition_of(time_zone=zone))
    home = ZoneInfo(zone)
    months = {"year": 12, "quarter": 3, "month": 1}[every]
    squares, models = [], {}
    year = timedelta(days=365)

    epoch, microsecond = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    every_one = [(each.at, history.failed_at[i]) for i, each in enumerate(history.deployed)]

    def plain(before, otherwise=None):
        instant = (before - epoch) // microsecond
        mine = [failed < instant for when, failed in every_one if before - year <= when < before]
        return sum(mine) / len(mine) if mine else otherwise

    for index, each in enumerate(history.deployed):
        local = each.at.astimezone(home)
        start = datetime(local.year, (local.month - 1) // months * months + 1, 1, tzinfo=home)
        if start not in models:
            models[start] = failure_model(known, before=start, time_zone=zone)
        rate = plain(start.astimezone(UTC))
        if rate is None:
            continue
        predicted = models[start].rate_of(each.change).rate
        failed = history.failed_at[index] != NEVER
        rolling = plain(each.at, rate)
        squares.append(
            (local.year, *((value - failed) ** 2 for value in (predicted, rate, rolling)))
        )
    assert len(squares) + judged.not_predicted == 300
    for score in (*judged.years, judged.whole):
        mine = [row[1:] for row in squares if score.name in ("all", str(row[0]))]
        means = [sum(column) / len(mine) for column in zip(*mine, strict=True)]
        scores = [score.brier, score.brier_plain, score.brier_rolling]
        assert scores == pytest.approx(means)
        assert score.n == len(mine)
        assert score.difference == pytest.approx(means[0] - means[1])
        assert score.difference_rolling == pytest.approx(means[0] - means[2])
        assert score.interval.low < score.difference < score.interval.high
    assert judged.whole.difference < 0
    assert sum(each.n for each in judged.bins) == len(squares)
    assert sum(each.failed for each in judged.bins) == judged.whole.failed
    assert [each.low for each in judged.bins] == sorted(each.low for each in judged.bins)
    assert all(each.low <= each.predicted <= each.high + 1e-12 for each in judged.bins)


def test_a_calibration_shows_itself():
    """Tables by year and by decile, and plain values."""
    judged = calibration(facts(long_log()))
    text = judged.explain()
    assert text.startswith("Brier score 0.")
    assert "trained anew every year" in text
    assert "came before there was anything to learn from" in text
    assert text.count(" of ") > 10
    plain = judged.as_dict()
    assert plain["years"][0]["name"] == "2027"
    assert plain["half_life"] == HALF_LIFE.total_seconds()
    assert calibration(facts(long_log()), bins=1_000).bins
    assert calibration([]).explain() == repr(calibration([]))
    nothing = calibration(facts(log(deployment("A", 10))))
    assert repr(nothing).startswith("calibration undefined")
    assert nothing.explain().splitlines()[1].strip().startswith("1 came before")


def test_the_interval_of_a_single_day_has_no_ends():
    """One cluster says nothing of how clusters differ."""
    streams = [deployment(f"A{n}", n) for n in range(3)]
    streams.append(deployment("B", 9_000))
    judged = calibration(facts(log(*streams)))
    assert judged.whole.n == 1
    assert judged.whole.interval.low is None
    assert "+0." in judged.explain() or "-0." in judged.explain()


# --- on the real change log -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def wikimedia():
    if not WIKIMEDIA.exists():
        pytest.skip(f"real data is not here: {WIKIMEDIA.name}")
    text = gzip.decompress(WIKIMEDIA.read_bytes()).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    reverted = {}
    for row in rows:
        if row["is_revert"] == "1" or row["reverts_shas"]:
            when = datetime.fromisoformat(row["committed_at"])
            for sha in filter(None, row["reverts_shas"].split(";")):
                reverted[sha] = min(reverted.get(sha, when), when)
    events = []
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for row in rows:
        if row["n_parents"] != "1" or row["is_revert"] == "1" or row["reverts_shas"]:
            continue
        when = datetime.fromisoformat(row["committed_at"])
        # What stands before a colon in the title is what the change is about.
        head, colon, _ = row["subject"].partition(":")
        mine = [
            ChangePlanned(
                at=None,
                by="x",
                type=ChangeType.NORMAL,
                kind=Kind.CONFIGURATION,
                services=("mediawiki-config",),
                labels={"about": head.strip()} if colon and 0 < len(head.strip()) <= 40 else {},
                imported=True,
            ),
            CommitsRecorded(at=when, by="x", commits=(Commit(id=row["sha"]),), imported=True),
            ChangeCompleted(at=when, by="x", imported=True),
        ]
        if row["sha"] in reverted:
            mine.append(
                ChangeRolledBack(
                    at=reverted[row["sha"]], by="x", reached_production=True, imported=True
                )
            )
        for version, event in enumerate(mine, start=1):
            name = f"change:{row['sha']}"
            events.append(Recorded(name, version, len(events) + 1, now, "r", None, event))
    return facts(events)


@pytest.mark.real_data
def test_on_the_real_log_it_beats_the_trailing_years_plain_rate(wikimedia):
    """In all and in the years of the drift; in quiet years it is no worse than chance would be."""
    judged = calibration(wikimedia)
    assert judged.whole.n > 30_000
    assert judged.whole.brier == pytest.approx(0.0679, abs=0.0005)
    assert judged.whole.interval.high < -0.004  # 0.0741 by the plain rate
    assert judged.whole.interval_rolling.high < -0.003  # 0.0729
    years = {score.name: score for score in judged.years}
    for name in ("2017", "2018", "2019", "2020"):
        assert years[name].interval.high < 0
    assert all(score.interval.low < 0 for score in judged.years)
    assert years["2018"].observed == pytest.approx(0.2056, abs=0.0001)
    assert years["2024"].observed == pytest.approx(0.0464, abs=0.0001)
    for each in judged.bins[1:]:
        assert abs(each.observed - each.predicted) < 0.02
    # The least is predicted too low: it is of the years in which failures became more.
    assert judged.bins[0].observed > judged.bins[0].predicted


@pytest.mark.slow
@pytest.mark.real_data
def test_a_label_of_what_a_change_is_about_makes_it_better_still(wikimedia):
    """The planned work on databases that the drift is made of has a name."""
    plain = calibration(wikimedia)
    more = calibration(wikimedia, factors=[*FACTORS, "label:about"])
    assert more.whole.brier < plain.whole.brier - 0.002
