"""
The stored format: every event there and back, what is written and in which order, what is kept.

`STORED_NAMES` is the format as it was published. A name in it is never renamed or removed.
"""

import json
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.codec.decoding import decode, envelope_of, event_of
from imcm.codec.encoding import Heads, encode, encoded
from imcm.codec.rows import EVENT_TYPES, FORMAT, StoredEvent
from imcm.domain.change_events import (
    ChangeFailed,
    ChangeObserved,
    ChangeRolledBack,
    ChangeStatus,
    ChangeSubmitted,
    Template,
)
from imcm.domain.incident_events import (
    ActionAdded,
    ImpactUpdated,
    IncidentDetected,
    IncidentMitigated,
    IncidentResolved,
    IncidentStatus,
    IncidentUnmerged,
    ReviewRecorded,
    UpdatePosted,
)
from imcm.domain.recorded import KeyClaimed, LedgerOpened, Source, Unread
from imcm.domain.vocabulary import (
    Audience,
    Between,
    ChangeType,
    Channel,
    Commit,
    Counts,
    Impact,
    Mode,
    Symptom,
    Window,
    aware,
)
from imcm.errors import ImcmError, StoreError

AT = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))
STAMP = datetime(2026, 3, 1, 4, 0, 1, 250_000, tzinfo=UTC)
RECORD = "0123456789abcdef0123456789abcdef"
SALT = "00112233445566778899aabbccddeeff"
EXAMPLES = 12


def stored(event, *, source=None):
    return encode(event, recorded_at=STAMP, record=RECORD, source=source, salt=lambda: SALT)


def row_of(event, *, source=None, stream="incident:INC-7"):
    name, state = stored(event, source=source)
    return StoredEvent(12, stream, 3, name, state)


def row(type, state):
    return StoredEvent(
        12, "incident:INC-7", 3, type, state.encode() if isinstance(state, str) else state
    )


def in_order(state):
    """Return the members of a stored object, and of its facts and words, as they stand."""
    return json.loads(state)


RESOLVED = (
    '{"format":1,"record":"r","recorded_at":"2026-03-01T04:00:01.250000Z",'
    '"event":{"at":"2026-03-01T09:30:00+05:45","by":"ana","status":"resolved"}}'
)

# --- strategies: whatever the fields of a class say -----------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
ids = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=offsets).map(  # noqa: DTZ001
    lambda t: t.replace(fold=0)  # which means nothing at a fixed offset
)
pairs = st.tuples(times, times).map(sorted).filter(lambda p: p[0] < p[1])

MADE_BY_HAND = {
    datetime: times,
    date: st.dates(),
    bool: st.booleans(),
    int: st.integers(0, 2**53),
    float: st.floats(0, 1),
    str: ids,
    Between: pairs.map(lambda p: Between(earliest=p[0], latest=p[1])),
    Window: pairs.map(lambda p: Window(start=p[0], end=p[1])),
    Counts: st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)).map(
        lambda p: Counts(requests=max(p), errors=min(p))
    ),
}


def of_type(hint):
    if hint in MADE_BY_HAND:
        return MADE_BY_HAND[hint]
    if hint is type(None):
        return st.none()
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*(of_type(argument) for argument in arguments))
    if origin is tuple and arguments[-1] is ...:
        return st.lists(of_type(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(of_type(argument) for argument in arguments))
    if origin is Mapping:
        return st.dictionaries(ids, text, max_size=3)
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    return events_of(hint)


def events_of(cls):
    """Any instance of an attrs class, its words free text."""
    hints = typing.get_type_hints(cls)
    words = getattr(cls, "WORDS", ())
    fields = {
        a.name: text if a.name in words and hints[a.name] is str else of_type(hints[a.name])
        for a in attrs.fields(cls)
    }
    return st.builds(cls, **fields)


# A ledger keeps no hash of a payload as it is given; what becomes of it has tests of its own.
sources = events_of(Source).map(lambda source: attrs.evolve(source, sha256=None, keyed=None))
by_type = pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=EVENT_TYPES.keys())

# --- there and back -------------------------------------------------------------------------------


ANYTHING = [
    5,
    -1.5,
    10**30,
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    "",
    "P1",
    "caf\u00e9",
    (),
    ("a",),
    (5,),
    [],
    {},
    {"a": 5},
    AT,
    AT.replace(tzinfo=timezone(timedelta(seconds=30))),
    date(2026, 3, 1),
    timedelta(1),
    Symptom.DISK,
    IncidentStatus.MERGED,
    ChangeStatus.DRAFT,
    Channel.USER,
    Between(earliest=AT, latest=AT),
    Commit(id=5),
    (Commit(id="a"),),
    Impact(services=("a",)),
    object(),
]

LOSES_FALSE = {ChangeFailed, ChangeRolledBack}


class TestThereAndBack:
    @by_type
    @given(data=st.data())
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    def test_every_event_comes_back_equal_with_its_offsets(self, cls, data):
        event = data.draw(events_of(cls))
        if cls in LOSES_FALSE and event.reached_production is False:
            event = attrs.evolve(event, reached_production=True)  # see the test of it below
        source = data.draw(st.none() | sources)
        recorded = decode(row_of(event, source=source))
        assert (event, source) == (recorded.event, recorded.source)
        # Equal times may have other offsets; their text tells.
        assert repr(event) == repr(recorded.event)

    @by_type
    @given(data=st.data())
    @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    def test_an_event_without_its_optional_fields_comes_back_equal(self, cls, data):
        hints = typing.get_type_hints(cls)
        needed = [a for a in attrs.fields(cls) if a.default is attrs.NOTHING]
        event = cls(**{a.name: data.draw(of_type(hints[a.name])) for a in needed})
        assert event == decode(row_of(event)).event

    @by_type
    @given(data=st.data())
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    def test_what_is_certain_to_be_read_again_is_read_again(self, cls, data):
        """Whatever a caller put into its fields: only what is not certain is decoded to see."""
        event = data.draw(events_of(cls))
        name = data.draw(st.sampled_from([a.name for a in attrs.fields(cls)]))
        given = data.draw(st.sampled_from(ANYTHING))
        source = data.draw(st.none() | sources)
        if source is not None and data.draw(st.booleans()):
            told = data.draw(st.sampled_from(["name", "id", "status", "sha256", "ledger"]))
            source = attrs.evolve(source, **{told: data.draw(st.sampled_from(ANYTHING))})
        try:
            event = attrs.evolve(event, **{name: given})
            name, state, certain = encoded(event, Heads(STAMP, RECORD).of(source))
        except (TypeError, OverflowError, ImcmError):
            return  # it can't be written at all
        try:
            again = decode(row(name, state)).event
            facts = decode(row(name, state), words=False).event
        except StoreError:
            assert not certain
        else:
            assert not (certain and isinstance(again, Unread))
            assert facts == event_of(row(name, state))

    @by_type
    def test_no_event_checks_more_than_its_moments(self, cls):
        """A check across fields would have to be asked before a row is certain to be read again."""
        validators = {a.validator for a in attrs.fields(cls)}
        assert validators <= {None, aware}
        assert not hasattr(cls, "__attrs_post_init__")

    @pytest.mark.parametrize("cls", [ChangeFailed, ChangeRolledBack])
    @pytest.mark.parametrize("reached", [True, False, None])
    def test_whether_it_reached_production_comes_back_also_as_no(self, cls, reached):
        event = cls(at=AT, by="ana", reached_production=reached)
        assert reached is decode(row_of(event)).event.reached_production

    def test_the_envelope_comes_back(self):
        source = Source(name="servicenow", id="INC0012345", recorded_at=AT, status="6", keyed="ab")
        recorded = decode(row_of(IncidentResolved(at=AT, by="ana"), source=source))
        assert (recorded.position, recorded.stream, recorded.version) == (12, "incident:INC-7", 3)
        assert (STAMP, RECORD, source) == (recorded.recorded_at, recorded.record, recorded.source)
        assert (recorded.redacted, recorded.kind, recorded.id) == (False, "incident", "INC-7")

    def test_an_unread_event_is_written_with_its_own_type_and_bytes(self):
        unread = Unread(type="IncidentTeleported", state=b'{"format":9}', why="")
        assert stored(unread) == ("IncidentTeleported", b'{"format":9}')

    @pytest.mark.parametrize("moment", [AT, Between(earliest=AT, latest=AT)])
    def test_an_offset_with_seconds_is_refused_and_never_moves_the_instant(self, moment):
        odd = datetime(1930, 1, 1, tzinfo=timezone(timedelta(minutes=19, seconds=32)))
        if isinstance(moment, Between):
            odd = Between(earliest=odd, latest=odd)
        with pytest.raises(ImcmError):
            stored(IncidentResolved(at=odd, by="ana", imported=True))


# --- what is written ------------------------------------------------------------------------------


class TestMembers:
    def test_they_stand_in_the_documented_order(self):
        event = IncidentDetected(at=AT, by="ana", title="checkout is down")
        members = in_order(stored(event, source=Source(name="pagerduty"))[1])
        expected = ["format", "record", "recorded_at", "source", "event", "words"]
        assert expected == list(members)
        assert FORMAT == members["format"] == 1

    def test_facts_stand_in_the_order_of_the_class_and_words_behind_their_salt(self):
        event = IncidentDetected(
            at=AT,
            by="ana",
            title="Kasse fällt aus",
            services=("payments", "checkout"),
            symptom=Symptom.ERRORS,
            channel=Channel.MONITORING,
            monitor="prometheus",
            environment="live",
            labels={"team": "core", "area": ""},
            impact_started_at=Between(earliest=AT - timedelta(minutes=9), latest=AT),
            declared_at=AT,
            imported=True,
        )
        expected = (
            '{"format":1,"record":"' + RECORD + '","recorded_at":"2026-03-01T04:00:01.250000Z",'
            '"event":{"at":"2026-03-01T09:30:00+05:45","by":"ana",'
            '"services":["payments","checkout"],"symptom":"errors","channel":"monitoring",'
            '"monitor":"prometheus","mode":"real","environment":"live",'
            '"labels":{"team":"core","area":""},'
            '"impact_started_at":{"earliest":"2026-03-01T09:21:00+05:45",'
            '"latest":"2026-03-01T09:30:00+05:45"},"declared_at":"2026-03-01T09:30:00+05:45",'
            '"status":"detected","imported":true},'
            '"words":{"salt":"' + SALT + '","title":"Kasse fällt aus"}}'
        )
        assert ("IncidentDetected", expected) == (stored(event)[0], stored(event)[1].decode())

    def test_empty_values_are_left_out(self):
        name, state = stored(IncidentDetected(at=AT, by="ana"))
        expected = {
            "at": "2026-03-01T09:30:00+05:45",
            "by": "ana",
            "mode": "real",
            "status": "detected",
        }
        assert ("IncidentDetected", expected) == (name, in_order(state)["event"])

    def test_what_an_event_always_has_is_written_even_when_it_is_not_known(self):
        _, state = stored(IncidentResolved(at=None, by="ana", imported=True))
        expected = {"at": None, "by": "ana", "status": "resolved", "imported": True}
        assert expected == in_order(state)["event"]

    def test_a_count_of_nothing_is_no_empty_value(self):
        review = ReviewRecorded(at=AT, by="ana", number=1, covers=0)
        assert in_order(stored(review)[1])["event"]["covers"] == 0

    def test_nested_values_leave_out_only_what_is_unknown(self):
        updated = ImpactUpdated(at=AT, by="ana", impact=Impact(customers=0))
        expected = {"services": [], "customers": 0}
        assert expected == in_order(stored(updated)[1])["event"]["impact"]
        commits = EVENT_TYPES["CommitsRecorded"](at=AT, by="ana", commits=(Commit(id="a1b2"),))
        assert in_order(stored(commits)[1])["event"]["commits"] == [{"id": "a1b2"}]

    @by_type
    def test_every_default_is_the_empty_value_of_its_type_or_is_always_written(self, cls):
        always_written = {
            "status": {member for status in (IncidentStatus, ChangeStatus) for member in status},
            "mode": {Mode.REAL},
            "type": {ChangeType.OBSERVED},
        }
        for field in attrs.fields(cls):
            default = field.default
            if default is attrs.NOTHING:
                continue
            if isinstance(default, attrs.Factory):
                default = default.factory()
            empty = default in (None, False, 0, "", ()) or default == {}
            assert empty or default in always_written.get(field.name, ()), field.name

    @by_type
    @given(data=st.data())
    @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    def test_a_status_a_type_and_a_mode_are_always_written(self, cls, data):
        event = data.draw(events_of(cls))
        facts = in_order(stored(event)[1])["event"]
        told = {n for n in ("status", "type", "mode") if getattr(event, n, None) is not None}
        assert told == told & facts.keys()

    def test_the_stamp_has_six_decimals_and_z(self):
        whole = datetime(2026, 3, 1, 6, 0, tzinfo=timezone(timedelta(hours=2)))
        _, state = encode(IncidentResolved(at=AT, by="a"), recorded_at=whole, record=RECORD)
        assert in_order(state)["recorded_at"] == "2026-03-01T04:00:00.000000Z"

    def test_a_source_leaves_out_what_it_does_not_say(self):
        _, state = stored(IncidentResolved(at=AT, by="a"), source=Source(name="pagerduty"))
        assert in_order(state)["source"] == {"name": "pagerduty"}

    def test_text_is_written_as_it_is_in_utf_8(self):
        _, state = stored(UpdatePosted(at=AT, by="ana", audience=Audience.PUBLIC, text="läuft 🎉"))
        assert "läuft 🎉".encode() in state


class TestWords:
    def test_there_are_none_where_nothing_was_said(self):
        assert "words" not in in_order(stored(ReviewRecorded(at=AT, by="ana", number=1))[1])
        assert "words" not in in_order(stored(IncidentResolved(at=AT, by="ana"))[1])

    def test_each_event_draws_a_salt_of_16_bytes_of_its_own(self):
        event = IncidentDetected(at=AT, by="ana", title="down")
        drawn = [
            in_order(encode(event, recorded_at=STAMP, record=RECORD)[1])["words"]["salt"]
            for _ in range(20)
        ]
        assert ({16}, 20) == ({len(bytes.fromhex(salt)) for salt in drawn}, len(set(drawn)))

    def test_they_are_left_out_when_not_asked_for(self):
        event = ReviewRecorded(
            at=AT, by="ana", number=1, what_happened="a pool was empty", causes=("no canary",)
        )
        bare = attrs.evolve(event, what_happened="", causes=())
        assert event == decode(row_of(event)).event
        assert bare == decode(row_of(event), words=False).event

    def test_a_list_of_words_comes_back_as_a_tuple(self):
        event = ReviewRecorded(at=AT, by="ana", number=1, causes=("one", "two"))
        assert decode(row_of(event)).event.causes == ("one", "two")

    def test_redacted_words_are_empty_and_say_so(self):
        name, state = stored(IncidentDetected(at=AT, by="ana", title="Ana broke it"))
        redacted = state[: state.index(b',"words"')] + b',"words":{"redacted":"ab12"}}'
        recorded = decode(row(name, redacted))
        assert (recorded.redacted, recorded.event.title) == (True, "")
        assert recorded.event.by == "ana"

    def test_no_fact_is_among_the_words(self):
        guards_and_figures = {"at", "by", "status", "imported", "severity", "services", "number"}
        said = {name for cls in EVENT_TYPES.values() for name in getattr(cls, "WORDS", ())}
        assert set() == said & guards_and_figures

    @by_type
    def test_the_words_of_a_class_are_fields_of_it_and_empty_by_default(self, cls):
        fields = attrs.fields_dict(cls)
        defaults = [fields[name].default for name in getattr(cls, "WORDS", ())]
        assert [default for default in defaults if default not in ("", ())] == []


# --- what can't be read ---------------------------------------------------------------------------


class TestUnread:
    def check(self, type, state, *why):
        recorded = decode(row(type, state))
        assert Unread == recorded.event.__class__
        assert (type, state.encode()) == (recorded.event.type, recorded.event.state)
        assert [word for word in why if word not in recorded.event.why] == []
        assert (recorded.recorded_at, recorded.record, recorded.version) == (STAMP, "r", 3)

    def test_a_type_of_a_newer_version(self):
        self.check("IncidentTeleported", RESOLVED, "IncidentTeleported", "not known")

    def test_a_value_of_a_newer_version(self):
        self.check("IncidentResolved", RESOLVED.replace('"resolved"', '"solved"'), "solved")

    def test_a_field_that_is_missing(self):
        self.check("IncidentResolved", RESOLVED.replace('"by":"ana",', ""), "by")

    def test_a_time_without_a_zone(self):
        self.check("IncidentResolved", RESOLVED.replace("+05:45", ""), "time zone")

    def test_a_newer_format(self):
        self.check("IncidentResolved", RESOLVED.replace('"format":1', '"format":2'), "2", "newer")

    def test_a_shape_of_a_newer_version(self):
        state = RESOLVED.replace('"2026-03-01T09:30:00+05:45"', '{"about":"2026-03-01"}')
        self.check("IncidentResolved", state)

    def test_a_value_that_breaks_a_rule_of_its_own(self):
        late = '{"earliest":"2026-03-02T00:00:00Z","latest":"2026-03-01T00:00:00Z"}'
        state = RESOLVED.replace('"2026-03-01T09:30:00+05:45"', late)
        self.check("IncidentResolved", state, "latest")

    def test_bytes_that_are_no_text(self):
        state = RESOLVED.encode().replace(b'"ana"', b'"\xff\xfe"')
        recorded = decode(row("IncidentResolved", state))
        assert (Unread, state) == (type(recorded.event), recorded.event.state)

    @pytest.mark.parametrize("type", ["IncidentTeleported", "IncidentDetected"])
    def test_an_event_with_words_is_unread_like_any_other(self, type):
        newer = RESOLVED.replace('"resolved"', '"solved"')[:-1]
        self.check(type, newer + ',"words":{"salt":"00","title":"down"}}')

    def test_words_of_a_shape_that_is_not_known(self):
        """They leave the facts as they are, whoever reads them."""
        state = RESOLVED[:-1] + ',"words":{"salt":"00","title":{"en":"down"}}}'
        stored = row("IncidentDetected", state.replace('"resolved"', '"detected"'))
        recorded = decode(stored)
        assert (IncidentDetected, "") == (type(recorded.event), recorded.event.title)
        assert recorded.event == decode(stored, words=False).event

    def test_its_source_is_kept(self):
        state = RESOLVED.replace('"event"', '"source":{"name":"pagerduty"},"event"')
        assert Source(name="pagerduty") == decode(row("IncidentTeleported", state)).source

    @pytest.mark.parametrize("words", [True, False])
    def test_it_is_unread_also_without_words(self, words):
        recorded = decode(row("IncidentTeleported", RESOLVED), words=words)
        assert Unread is type(recorded.event)


class TestTolerated:
    def test_fields_that_a_newer_version_added_do_not_hinder_reading(self):
        state = (
            RESOLVED.replace('"by"', '"mood":["calm"],"by"')
            .replace('"event"', '"trace":"t-1","event"')
            .replace('"record"', '"source":{"name":"x","region":"eu"},"record"')
        )
        recorded = decode(row("IncidentResolved", state))
        assert IncidentResolved(at=AT, by="ana") == recorded.event
        assert Source(name="x") == recorded.source

    def test_words_that_a_newer_version_added_do_not_hinder_reading(self):
        detected = RESOLVED.replace('"resolved"', '"detected"')[:-1]
        state = detected + ',"words":{"salt":"00","title":"down","summary":"long"}}'
        assert decode(row("IncidentDetected", state)).event.title == "down"

    def test_members_in_another_order_are_read(self):
        given = json.loads(RESOLVED)
        state = json.dumps(dict(reversed(given.items())))
        assert IncidentResolved(at=AT, by="ana") == decode(row("IncidentResolved", state)).event


class TestDamaged:
    @pytest.mark.parametrize(
        "state",
        [
            b"",
            b"not JSON",
            b"\xff\xfe",
            b"[]",
            b"{}",
            RESOLVED[:-1].encode(),
            RESOLVED.replace('"event":', '"occurrence":').encode(),
            RESOLVED.replace('"record":"r",', "").encode(),
            RESOLVED.replace("250000Z", "250000").encode(),
            RESOLVED.replace('"2026-03-01T04:00:01.250000Z"', '"yesterday"').encode(),
            RESOLVED.replace('"format":1', '"format":"one"').encode(),
            RESOLVED.replace('"event"', '"source":{},"event"').encode(),
        ],
    )
    @pytest.mark.parametrize("type", ["IncidentResolved", "IncidentTeleported"])
    def test_what_is_no_stored_event_is_an_error_that_says_where(self, type, state):
        with pytest.raises(StoreError) as caught:
            decode(row(type, state))
        message = str(caught.value)
        wanted = ("position 12", "incident:INC-7", "version 3", type)
        assert [word for word in wanted if word not in message] == []


def test_the_envelope_alone_gives_facts_and_words_byte_for_byte():
    name, state = stored(IncidentDetected(at=AT, by="ana", title="down"))
    envelope = envelope_of(row(name, state))
    facts = '{"at":"2026-03-01T09:30:00+05:45","by":"ana","mode":"real","status":"detected"}'
    assert facts == bytes(envelope.event).decode()
    assert bytes(envelope.words).decode() == '{"salt":"' + SALT + '","title":"down"}'


def test_type_names_are_ours_and_not_those_of_python():
    assert [name for name in EVENT_TYPES if not name.isidentifier()] == []
    assert (
        stored(IncidentUnmerged(at=AT, by="a", out_of="INC-1", status=IncidentStatus.DETECTED))[0]
        == "IncidentUnmerged"
    )


def test_the_ledgers_own_events_are_stored_like_the_others():
    opened = LedgerOpened(ledger_id="imcm/ab", format=1)
    claimed = KeyClaimed(asked="ab", recorded=(("incident:INC-7", 1), ("change:CHG-9", 2)))
    assert in_order(stored(opened)[1])["event"] == {"ledger_id": "imcm/ab", "format": 1}
    expected = {"asked": "ab", "recorded": [["incident:INC-7", 1], ["change:CHG-9", 2]]}
    assert expected == in_order(stored(claimed)[1])["event"]
    assert in_order(stored(KeyClaimed(asked="ab"))[1])["event"] == {"asked": "ab"}


def test_a_day_is_stored_as_a_day_and_a_percentage_as_a_number():
    action = ActionAdded(at=AT, by="ana", number=2, due=date(2026, 4, 1))
    assert in_order(stored(action)[1])["event"]["due"] == "2026-04-01"
    started = EVENT_TYPES["ChangeStarted"](at=AT, by="ci", rollout_plan=(5.0, 100.0))
    assert in_order(stored(started)[1])["event"]["rollout_plan"] == [5.0, 100.0]


def test_a_named_value_is_stored_with_all_it_holds():
    submitted = ChangeSubmitted(
        at=AT, by="ana", template=Template(name="restart", version="3", sha256="ab")
    )
    expected = {"name": "restart", "version": "3", "sha256": "ab"}
    assert expected == in_order(stored(submitted)[1])["event"]["template"]


def test_a_status_other_than_the_default_is_what_comes_back():
    told_late = IncidentMitigated(at=AT, by="a", status=IncidentStatus.RESOLVED, imported=True)
    assert IncidentStatus.RESOLVED is decode(row_of(told_late)).event.status
    found = ChangeObserved(at=AT, by="a", type=ChangeType.NORMAL)
    assert ChangeType.NORMAL is decode(row_of(found)).event.type


# --- names that never change ----------------------------------------------------------------------

STORED_NAMES = {
    "IncidentDetected": (
        "at by title services symptom channel monitor mode environment labels "
        "impact_started_at declared_at status imported"
    ),
    "IncidentDeclared": "at by imported",
    "IncidentAcknowledged": "at by imported",
    "IncidentTriaged": "at by severity severity_name severity_proposed impact status imported",
    "IncidentDismissed": "at by reason why status imported",
    "MitigationAttempted": "at by number kind change note status imported",
    "AttemptConcluded": "at by number result evidence imported",
    "IncidentMitigated": "at by status imported",
    "IncidentResolved": "at by status imported",
    "IncidentReopened": "at by began number relapse why status imported",
    "IncidentHeld": "at by reason why imported",
    "IncidentReleased": "at by imported",
    "SeverityChanged": "at by severity severity_name why imported",
    "RoleAssigned": "at by role person imported",
    "RoleReleased": "at by role person imported",
    "ImpactUpdated": "at by impact impact_started_at imported",
    "UpdatePosted": "at by audience text imported",
    "ProblemLinked": "at by problem imported",
    "VerdictGiven": "at by change verdict why imported",
    "ReviewRecorded": "at by number covers what_happened causes cause_tags imported",
    "ActionAdded": "at by number owner due text imported",
    "ActionRevised": "at by number owner due text imported",
    "IncidentDescribed": "at by title services symptom labels imported",
    "ReferenceAdded": "at by kind address title imported",
    "SourceSaid": "at by facts imported",
    "SourceWithdrew": "at by imported",
    "SourceReinstated": "at by imported",
    "MilestoneMarked": "at by number name imported",
    "IncidentRelated": "at by other kind imported",
    "IncidentUnrelated": "at by other kind imported",
    "ActionCompleted": "at by number change imported",
    "ActionDropped": "at by number change why imported",
    "IncidentClosed": "at by status imported",
    "IncidentMerged": "at by into why status imported",
    "IncidentAbsorbed": "at by merged imported",
    "IncidentUnmerged": "at by out_of status why imported",
    "IncidentSeparated": "at by merged imported",
    "SeverityInherited": "at by severity merged imported",
    "DurationStated": "at by what microseconds imported",
    "WordsRedacted": "at by versions reason imported",
    "MomentCorrected": "at by version field was now why imported",
    "SeverityCorrected": "at by version field was now severity_name_was severity_name why imported",
    "ImpactCorrected": "at by version field was now why imported",
    "ServicesCorrected": "at by version field was now why imported",
    "SymptomCorrected": "at by version field was now why imported",
    "LabelsCorrected": "at by version field was now why imported",
    "EnvironmentCorrected": "at by version field was now why imported",
    "ModeCorrected": "at by version field was now why imported",
    "DismissalReasonCorrected": "at by version field was now why imported",
    "EventVoided": "at by version status why imported",
    "ChangePlanned": (
        "at by type kind services environment labels risk window requested_by incident "
        "repairs version unplanned has_rollback_plan has_monitoring_plan has_test_plan "
        "title description rollback_plan monitoring_plan test_plan status imported"
    ),
    "ChangeRevised": (
        "at by kind services risk window incident has_rollback_plan has_monitoring_plan "
        "has_test_plan why title description rollback_plan monitoring_plan test_plan "
        "status imported"
    ),
    "ChangeSubmitted": "at by template policy evidence_position status imported",
    "ChangeApproved": "at by authority content votes quorum policy why status imported",
    "VoteGiven": (
        "at by authority actor valid_until content votes quorum policy why status imported"
    ),
    "StepRefusedRecorded": "at by step guard policy canary baseline why imported",
    "ChangeRejected": "at by why status imported",
    "ChangeApprovedRetroactively": "at by authority actor policy why imported",
    "RetroactiveApprovalRefused": "at by authority actor policy why imported",
    "ChangeScheduled": "at by window policy evidence_position imported",
    "FreezeOverridden": "at by freeze since until actor why policy imported",
    "ChangeHeld": "at by reason why imported",
    "ChangeReleased": "at by imported",
    "ChangeStarted": (
        "at by run version rollout_plan outstanding policy evidence_position status imported"
    ),
    "CommitsRecorded": "at by commits imported",
    "ChangeObserved": (
        "at by kind services environment labels version title type unauthorised "
        "outstanding status imported"
    ),
    "ChangeRescoped": "at by environment labels why status imported",
    "ChangeReworded": "at by title description imported",
    "ContentCorrectedAfterApproval": "at by version unauthorised imported",
    "RolloutAdvanced": "at by percent canary baseline policy note imported",
    "RolloutPaused": "at by percent canary baseline unauthorised note imported",
    "RolloutAborted": "at by percent canary baseline unauthorised note status imported",
    "ChangeCompleted": "at by version unauthorised status imported",
    "ChangeDeployed": "at by version unauthorised status imported",
    "ChangeFailed": "at by reached_production unauthorised why status imported",
    "ChangeRolledBack": "at by incident reached_production unauthorised why status imported",
    "ChangeRecovered": "at by unauthorised imported",
    "ChangeValidated": "at by check passed unauthorised evidence status imported",
    "ChangeClosed": "at by result actor notes status imported",
    "ChangeCancelled": "at by why status imported",
    "KindCorrected": "at by version field was now why imported",
    "ResultCorrected": "at by version field was now why imported",
    "CommitsCorrected": "at by version field was now why imported",
    "LedgerOpened": "ledger_id format",
    "KeyClaimed": "asked recorded",
    "KeyUsed": "arguments recorded steps",
    "RulesAdopted": "kind name version text sha256 by",
}

STORED_VALUES = {
    "AttemptResult": "worked no_effect worse",
    "Audience": "internal public",
    "Actor": "person service agent",
    "Authority": "peer cab service_owner",
    "Between": "earliest latest",
    "ChangeStatus": (
        "nothing draft submitted approved implementing implemented validated closed cancelled"
    ),
    "ChangeType": "standard normal emergency observed",
    "Channel": "monitoring user synthetic person",
    "Commit": "id authored_at committed_at pull_request opened_at merged_at",
    "Counts": "requests errors",
    "Degree": "down degraded at_risk",
    "DismissalReason": "false_positive duplicate expected external",
    "HoldReason": "vendor customer change problem other",
    "Impact": "services customers share",
    "IncidentStatus": (
        "nothing detected triaged mitigating mitigated resolved closed dismissed merged"
    ),
    "Kind": (
        "deployment package_update scaling firewall schema configuration feature_flag "
        "rollback other"
    ),
    "MitigationKind": "roll_back restart scale feature_flag fail_over hotfix block_traffic other",
    "Mode": "real drill test",
    "PolicyRef": "name version said",
    "Result": "successful successful_with_issues unsuccessful",
    "Risk": "low moderate high",
    "Relation": "child_of recurrence_of related",
    "Role": "incident_commander operations communications scribe",
    "ServiceImpact": "service degree",
    "Severity": "P1 P2 P3 P4",
    "Source": "name id recorded_at status sequence delivery sha256 ledger keyed",
    "StatedDuration": "time_to_restore time_to_repair",
    "Symptom": (
        "site_down latency errors database_connections crash_loop cpu memory disk data "
        "security other"
    ),
    "Template": "name version sha256",
    "Verdict": "caused fixed suspected dismissed",
    "Window": "start end",
}


def test_no_stored_name_is_ever_renamed_or_removed():
    """A new type or field is added here too; a line is never changed."""
    names = {name: [a.name for a in attrs.fields(cls)] for name, cls in EVENT_TYPES.items()}
    assert {name: sorted(fields.split()) for name, fields in STORED_NAMES.items()} == {
        name: sorted(fields) for name, fields in names.items()
    }


def test_no_stored_value_is_ever_renamed_or_removed():
    """Members of the enumerations, and the fields of nested values, are storage format too."""
    assert {name: sorted(values.split()) for name, values in STORED_VALUES.items()} == {
        cls.__name__: sorted(_values(cls)) for cls in _nested(EVENT_TYPES.values())
    }


def _values(cls):
    if issubclass(cls, StrEnum):
        return [member.value for member in cls]
    return [a.name for a in attrs.fields(cls)]


def _nested(classes):
    """All enumerations and value classes that the fields of *classes* speak of."""
    found, waiting = set(), [Source, *classes]
    while waiting:
        for hint in typing.get_type_hints(waiting.pop()).values():
            todo = [hint]
            while todo:
                one = todo.pop()
                todo += typing.get_args(one)
                if not isinstance(one, type) or one in found or typing.get_origin(one):
                    continue
                if attrs.has(one) or issubclass(one, StrEnum):
                    found.add(one)
                if attrs.has(one):
                    waiting.append(one)
    return found | {Source}


def test_the_words_of_each_type_stay_words():
    """A field that moved between facts and words would change what can be redacted."""
    assert {
        name: " ".join(cls.WORDS) for name, cls in EVENT_TYPES.items() if getattr(cls, "WORDS", ())
    } == STORED_WORDS


STORED_WORDS = {
    "IncidentDetected": "title",
    "IncidentDismissed": "why",
    "MitigationAttempted": "note",
    "AttemptConcluded": "evidence",
    "IncidentReopened": "why",
    "IncidentHeld": "why",
    "SeverityChanged": "why",
    "UpdatePosted": "text",
    "VerdictGiven": "why",
    "ReviewRecorded": "what_happened causes",
    "ActionAdded": "text",
    "ActionRevised": "text",
    "IncidentDescribed": "title",
    "ReferenceAdded": "title",
    "ActionDropped": "why",
    "IncidentMerged": "why",
    "IncidentUnmerged": "why",
    "MomentCorrected": "why",
    "SeverityCorrected": "why",
    "ImpactCorrected": "why",
    "ServicesCorrected": "why",
    "SymptomCorrected": "why",
    "LabelsCorrected": "why",
    "EnvironmentCorrected": "why",
    "ModeCorrected": "why",
    "DismissalReasonCorrected": "why",
    "EventVoided": "why",
    "WordsRedacted": "reason",
    "ChangePlanned": "title description rollback_plan monitoring_plan test_plan",
    "ChangeRevised": "why title description rollback_plan monitoring_plan test_plan",
    "ChangeApproved": "why",
    "StepRefusedRecorded": "why",
    "ChangeRejected": "why",
    "VoteGiven": "why",
    "ChangeApprovedRetroactively": "why",
    "RetroactiveApprovalRefused": "why",
    "FreezeOverridden": "why",
    "ChangeHeld": "why",
    "ChangeObserved": "title",
    "ChangeRescoped": "why",
    "ChangeReworded": "title description",
    "RolloutAdvanced": "note",
    "RolloutPaused": "note",
    "RolloutAborted": "note",
    "ChangeFailed": "why",
    "ChangeRolledBack": "why",
    "ChangeValidated": "evidence",
    "ChangeClosed": "notes",
    "ChangeCancelled": "why",
    "KindCorrected": "why",
    "ResultCorrected": "why",
    "CommitsCorrected": "why",
}
