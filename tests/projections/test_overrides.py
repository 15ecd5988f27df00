"""Who let what through a freeze."""

import json

import attrs

from imcm.domain.change_events import FreezeOverridden
from imcm.domain.vocabulary import PolicyRef
from imcm.projections.histories.overrides import freeze_overrides
from projections.log import at, change, log, planned
from projections.test_decisions import start, steps, take

FIRST = FreezeOverridden(
    at=at(1),
    by="mia",
    freeze="the sale",
    since=at(1),
    until=at(9),
    why="the fair",
    policy=PolicyRef(name="frozen", version="2", said="overridden"),
)
OTHER = attrs.evolve(FIRST, by="Zoe", why="", policy=None)


def overridden(event):
    return lambda _: (event,)


def plan():
    return take("plan", 0, "lena", title="x", risk="low", rollback_plan="x")


APPROVED = (plan(), take("submit", 0, "lena"), take("approve", 0, "bob"))


def test_are_listed_with_the_start_in_them():
    story = log(
        steps("CHG-1", *APPROVED, overridden(FIRST), start(4)),
        steps("CHG-2", *APPROVED, overridden(OTHER), start(10)),
        change("CHG-3", planned(), attrs.evolve(FIRST, imported=True)),
    )
    mine, other = freeze_overrides(story)
    assert (mine.change, mine.by, mine.started_at, mine.policy) == (
        *("CHG-1", "mia", at(4)),
        "frozen 2",
    )
    assert str(mine) == 'CHG-1: "the sale" overridden by mia, started in it: the fair'
    assert (other.started_at, other.policy) == (None, "")
    assert str(other) == 'CHG-2: "the sale" overridden by Zoe, not started in it'
    assert json.loads(json.dumps(mine.as_dict()))["why"] == "the fair"
    assert [each.by for each in freeze_overrides(story, by="zoe")] == ["Zoe"]
    assert freeze_overrides(story, known_at=2) == ()


def test_that_were_voided_are_none_and_neither_are_starts():
    voided = steps(
        "CHG-1", *APPROVED, overridden(FIRST), take("void", 3, "ann", version=4, why="x")
    )
    assert freeze_overrides(log(voided)) == ()
    began = steps(
        *("CHG-1", *APPROVED, overridden(FIRST), start(4)),
        take("void", 5, "ann", version=5, why="x"),
    )
    [found] = freeze_overrides(log(began))
    assert found.started_at is None
