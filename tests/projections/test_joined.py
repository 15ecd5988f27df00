"""Facts made by hand, and those of several ledgers. Times are hours after `START`."""

import pytest

from imcm.domain.recorded import Unread
from imcm.errors import InvalidValue, NaiveTimeError
from imcm.projections.facts.fold import Facts, facts
from imcm.projections.figures.failures import change_failure_rate
from projections.log import at, caused_by, deployment, detected, incident, log


class TestJoined:
    """The facts of several ledgers as those of one."""

    PAY = facts(log(deployment("pay/CHG-1", 1)), as_of=at(99))
    WEB = facts(
        log(incident("web/INC-1", detected(2), caused_by("pay/CHG-1", 3)), now=4), as_of=at(99)
    )

    def test_they_meet(self):
        found = Facts.joined([self.WEB, self.PAY], as_of=at(99))
        assert change_failure_rate(self.PAY).value == 0
        assert change_failure_rate(found).value == 1
        assert found == Facts.joined(iter([self.PAY, self.WEB]), as_of=at(99))
        assert (found.as_of, found.log_position, found.mark) == (at(99), 0, None)
        assert found.events == self.PAY.events + self.WEB.events

    def test_what_was_not_read_is_counted_together(self):
        story = log(("incident:INC-1", [Unread(type="X", state=b"", why="")] * 2))
        part = facts(story, as_of=at(99))
        other = facts(log(("incident:INC-2", [Unread(type="X", state=b"", why="")])), as_of=at(99))
        assert {"X": 3} == Facts.joined([part, other], as_of=at(99)).unread

    def test_of_none_or_of_empty_ones(self):
        assert Facts.joined([], as_of=at(1)).empty
        assert self.PAY.changes == Facts.joined([facts([]), self.PAY], as_of=at(99)).changes

    @pytest.mark.parametrize(
        ("parts", "as_of", "match"),
        [
            ([PAY, WEB], at(98), r"as of .* is not allowed; make each part with as_of="),
            ([PAY, PAY], at(99), "two with change pay/CHG-1' .* a prefix of its own"),
            ([WEB, WEB], at(99), "two with incident web/INC-1' "),
            ([PAY.changes], at(99), "give facts"),
            (7, at(99), "give facts"),
        ],
    )
    def test_refused(self, parts, as_of, match):
        with pytest.raises(InvalidValue, match=match) as refused:
            Facts.joined(parts, as_of=as_of)
        assert "parts" == refused.value.name

    def test_a_time_without_a_zone_is_refused(self):
        with pytest.raises(NaiveTimeError):
            Facts.joined([], as_of=at(1).replace(tzinfo=None))


class TestMadeByHand:
    ROWS = facts(log(deployment("CHG-1", 1), deployment("CHG-2", 2))).changes[:]

    def test_rows_without_a_time_are_refused(self):
        """Every figure of them would be empty, without a word."""
        with pytest.raises(InvalidValue, match=r"as_of: None .* up to which the rows tell"):
            Facts(changes=self.ROWS)

    @pytest.mark.parametrize("rows", [ROWS[::-1], (*ROWS, ROWS[-1])], ids=["order", "twice"])
    def test_rows_out_of_order_or_there_twice_are_refused(self, rows):
        with pytest.raises(InvalidValue, match="in the order of their ids, each once"):
            Facts(changes=rows, as_of=at(9))

    def test_rows_of_the_other_kind_are_refused(self):
        with pytest.raises(InvalidValue, match="give rows of IncidentFacts"):
            Facts(incidents=self.ROWS, as_of=at(9))

    def test_a_time_without_a_zone_is_refused(self):
        with pytest.raises(NaiveTimeError):
            Facts(as_of=at(1).replace(tzinfo=None))
