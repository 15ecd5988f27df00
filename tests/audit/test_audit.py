"""The library's face: checkpoints over a real ledger, proofs, signers, and their refusals."""

import json
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from audit.reference import ORIGIN, log, public, renumbered, sign, vkey, write_sqlite
from imcm import Ledger, incident, verifier
from imcm.audit import (
    Signer,
    check_proof,
    checkpoint,
    new_key,
    prove,
    prove_consistency,
    verify,
    verify_file,
)
from imcm.errors import (
    ImcmError,
    InvalidValue,
    LogDiffersError,
    MissingExtraError,
    NaiveTimeError,
    ProofRefusedError,
    StoreError,
    UnknownIdError,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
VKEY = vkey("log.example", SECRET)
SIGNER = Signer(VKEY, lambda message: sign(SECRET, message))


def made(rows, anchors="", **options):
    return checkpoint(rows, anchors=anchors, at=NOON, **options)


class TestCheckpoint:
    def test_over_the_life_of_a_ledger(self, tmp_path):
        """Record, anchor, record, anchor; then everything matches, from rows and from the file."""
        notes = ""
        with Ledger(tmp_path / "ledger.db", clock=lambda: NOON) as ledger:
            for number in range(4):
                ledger.record(f"INC-{number}", incident.detect, by="a", at=NOON, title="It fails")
                ledger.record(f"INC-{number}", incident.acknowledge, by="b", at=NOON)
                notes = made(ledger.rows(), notes, signer=SIGNER)
            verdict = verify(ledger.rows(), notes, keys=[VKEY])
            assert (verdict.outcome, verdict.matched, verdict.size) == ("OK", 4, 9)
            assert verdict.origin == ledger.ledger_id
        by_file = verify_file(tmp_path / "ledger.db", notes, keys=[VKEY])
        assert verdict == by_file._replace(checked=())
        assert [3, 5, 7, 9] == [anchor.size for anchor in verifier.read_anchors(notes)]

    def test_the_note(self):
        """Origin, size, root, when; and without a signer a blank line."""
        rows = log(5)
        root = verify(rows, "").root
        at = datetime(2026, 11, 23, 13, 0, 0, 999999, tzinfo=timezone(timedelta(hours=1)))
        [found] = verifier.read_anchors(checkpoint(rows, anchors="", at=at))
        assert found == verifier.Checkpoint(ORIGIN, 5, root, ("at 2026-11-23T12:00:00Z",))

    def test_a_signed_note_can_be_checked_by_its_key(self):
        """And stands in the form that other tools read."""
        note = made(log(5), signer=SIGNER)
        [found] = verifier.read_anchors(note)
        assert found.signed_by([SIGNER.key]) == (SIGNER.key,)
        assert note.split("\n\n")[1].startswith("— log.example ")
        assert note.endswith("=\n")

    def test_nothing_new_gives_a_note_all_the_same(self):
        """It says that nothing was recorded until then."""
        rows = log(5)
        notes = made(rows)
        later = checkpoint(rows, anchors=notes, at=NOON + timedelta(days=1))
        first, second = verifier.read_anchors(later)
        assert (first.size, first.root) == (second.size, second.root)
        assert second.extensions == ("at 2026-11-24T12:00:00Z",)
        assert verify(rows, later).outcome == "OK"

    def test_a_changed_log_is_never_signed(self):
        """Nor one that was cut, that has gaps, or that is of another ledger."""
        asked = []

        def signing(message):
            asked.append(message)
            return sign(SECRET, message)

        signer = Signer(VKEY, signing)
        rows = log(9)
        notes = made(rows[:4]) + made(rows[:8])
        changed = [*rows[:2], rows[2]._replace(type="Other"), *rows[3:]]
        gaps = [*rows[:8], rows[8]._replace(version=77)]
        other = [rows[0]._replace(state=rows[0].state.replace(b"imcm/0", b"imcm/1")), *rows[1:]]
        for some, outcome in (
            (changed, "DIFFERS"),
            (rows[:7], "TRUNCATED"),
            (gaps, "GAPS"),
            (other, "WRONG LEDGER"),
            (renumbered(rows[1:]), "DIFFERS"),
            ([], "TRUNCATED"),
        ):
            with pytest.raises(
                LogDiffersError, match=f"no checkpoint of this log is made: {outcome}"
            ):
                made(some, notes, signer=signer)
        assert asked == []
        assert made(rows, notes, signer=signer)
        assert len(asked) == 1

    def test_every_earlier_anchor_is_compared(self):
        """Also the first, when the last one was replaced."""
        rows = log(9)
        changed = [*rows[:2], rows[2]._replace(type="Other"), *rows[3:]]
        notes = made(rows[:4]) + made(changed[:8])
        with pytest.raises(LogDiffersError, match="DIFFERS"):
            made(changed, notes)

    def test_earlier_anchors_must_be_signed_when_a_key_says_so(self):
        """An unsigned one among them stops it."""
        rows = log(9)
        notes = made(rows[:4], signer=SIGNER)
        assert made(rows, notes, signer=SIGNER, keys=[VKEY])
        with pytest.raises(LogDiffersError, match="NOT SIGNED"):
            made(rows, made(rows[:6], notes), signer=SIGNER, keys=[VKEY])

    def test_an_empty_log_has_no_checkpoint(self):
        """It does not say which ledger it is."""
        with pytest.raises(LogDiffersError):
            made([])

    def test_a_log_whose_id_can_t_be_read(self):
        """Where a store encrypts what it holds, the id is given."""
        rows = [row._replace(state=row.state[::-1]) for row in log(4)]
        with pytest.raises(LogDiffersError, match="WRONG LEDGER"):
            made(rows)
        assert verify(rows, made(rows, origin=ORIGIN), origin=ORIGIN).outcome == "OK"
        with pytest.raises(InvalidValue):
            made(rows, origin="two\nlines")

    def test_a_time_needs_a_zone(self):
        """As everywhere."""
        with pytest.raises(NaiveTimeError):
            checkpoint(log(3), anchors="", at=NOON.replace(tzinfo=None))

    @pytest.mark.parametrize("anchors", ["garbage\n", made(log(3))[:-1], "x"])
    def test_anchors_that_can_t_be_read(self, anchors):
        """Are named as such; the note is not made."""
        with pytest.raises(InvalidValue, match="anchors"):
            made(log(3), anchors)

    def test_a_row_that_is_none(self):
        """Is the store's fault."""
        with pytest.raises(StoreError, match="position 2 is not a stored event"):
            made([log(2)[0], log(2)[1]._replace(state=None)])


class TestVerify:
    def test_a_file_that_is_no_ledger(self, tmp_path):
        """Is an error of the library, like every other."""
        (tmp_path / "x").write_text("x", encoding="utf-8")
        for path in (tmp_path, tmp_path / "none", tmp_path / "x"):
            with pytest.raises(StoreError):
                verify_file(path, "")

    def test_a_file_and_a_path_as_text(self, tmp_path):
        """Either will do."""
        path = write_sqlite(tmp_path / "ledger.db", log(9))
        assert verify_file(str(path), made(log(9))).outcome == "OK"

    @pytest.mark.parametrize("keys", [["x"], [None], [3], VKEY])
    def test_keys_that_are_none(self, keys):
        """Including a single one that is not in a list."""
        with pytest.raises(InvalidValue, match="key"):
            verify(log(3), made(log(3)), keys=keys)

    def test_rows_may_come_with_their_streams(self):
        """What a store can tell saves the sorting."""
        rows = log(9)
        streams = sorted((row.stream, row.version, row.position) for row in rows)
        assert verify(rows, made(rows), streams=streams).outcome == "OK"


class TestProofs:
    ROWS = log(20)
    NOTES = (made(ROWS[:1]), made(ROWS[:6]), made(ROWS[:13], signer=SIGNER), made(ROWS))

    def test_all_events_of_a_stream(self):
        """Each as the log was at the checkpoint, and each holds."""
        for note in self.NOTES[1:]:
            [head] = verifier.read_anchors(note)
            mine = [r for r in self.ROWS[: head.size] if r.stream == "incident:INC-1"]
            proofs = prove(iter(self.ROWS), "incident:INC-1", checkpoint=note)
            assert [row.version for row in mine] == [proof["version"] for proof in proofs]
            assert [row.position - 1 for row in mine] == [proof["index"] for proof in proofs]
            for proof in proofs:
                told = json.loads(json.dumps(proof))
                assert "incident:INC-1" in check_proof(told, "".join(self.NOTES))

    def test_one_event(self):
        """By its version."""
        [proof] = prove(self.ROWS, "incident:INC-1", 2, checkpoint=self.NOTES[3])
        assert (proof["stream"], proof["version"], proof["size"]) == ("incident:INC-1", 2, 20)
        assert check_proof(proof, self.NOTES[3])
        with pytest.raises(ProofRefusedError, match="no checkpoint"):
            check_proof(proof, self.NOTES[2])

    def test_without_words(self):
        """The proof tells nothing of what was said, and holds."""
        [proof] = prove(self.ROWS, "incident:INC-1", 1, checkpoint=self.NOTES[3], words=False)
        with_words = prove(self.ROWS, "incident:INC-1", 1, checkpoint=self.NOTES[3])[0]
        assert proof["state"] != with_words["state"]
        assert {k: v for k, v in proof.items() if k != "state"} == {
            k: v for k, v in with_words.items() if k != "state"
        }
        assert check_proof(proof, self.NOTES[3]) == check_proof(with_words, self.NOTES[3])

    @pytest.mark.parametrize(("stream", "version"), [("incident:x", None), ("change:1", 1)])
    def test_what_was_not_there(self, stream, version):
        """Has no proof."""
        with pytest.raises(UnknownIdError, match="covers 20 events"):
            prove(self.ROWS, stream, version, checkpoint=self.NOTES[3])

    @pytest.mark.parametrize("version", [0, 99])
    def test_a_version_that_was_not_there(self, version):
        """Says which there are: the id is not what was wrong."""
        with pytest.raises(InvalidValue, match=r"version of incident:INC-1 that .* covers: 1 to"):
            prove(self.ROWS, "incident:INC-1", version, checkpoint=self.NOTES[3])

    def test_what_came_later(self):
        """The checkpoint does not cover it."""
        told = self.ROWS[15].stream, self.ROWS[15].version
        known = {row.stream for row in self.ROWS[:6]}
        error = InvalidValue if told[0] in known else UnknownIdError
        with pytest.raises(error, match="covers"):
            prove(self.ROWS, *told, checkpoint=self.NOTES[1])

    def test_a_log_that_the_checkpoint_is_not_of(self):
        """A proof would not hold, so none is made."""
        changed = [*self.ROWS[:2], self.ROWS[2]._replace(type="Other"), *self.ROWS[3:]]
        for some in (changed, self.ROWS[:12], []):
            with pytest.raises(InvalidValue, match="does not match that checkpoint"):
                prove(some, "incident:INC-1", checkpoint=self.NOTES[2])

    def test_consistency(self):
        """Between any two checkpoints, in their order."""
        for place, old in enumerate(self.NOTES):
            for new in self.NOTES[place:]:
                proof = json.loads(json.dumps(prove_consistency(iter(self.ROWS), old, new)))
                assert "begins with the log of" in check_proof(proof, old + new)
        with pytest.raises(InvalidValue):
            prove_consistency(self.ROWS, self.NOTES[3], self.NOTES[1])

    def test_consistency_over_many_pieces(self):
        """Also where the older size is inside a piece, at its end, or behind it."""
        rows = log(3100)
        new = made(rows)
        for size in (1, 999, 1000, 1001, 2000, 3099, 3100):
            old = made(rows[:size])
            assert check_proof(prove_consistency(rows, old, new), old + new)

    def test_no_consistency_of_a_changed_log(self):
        """Neither in the part before the older checkpoint nor in the part behind it."""
        for place, name in ((2, "old"), (10, "new")):
            changed = list(self.ROWS)
            changed[place] = changed[place]._replace(type="Other")
            with pytest.raises(InvalidValue, match=f"^{name}: .*does not match that checkpoint"):
                prove_consistency(changed, self.NOTES[1], self.NOTES[2])
        with pytest.raises(InvalidValue):
            prove_consistency(self.ROWS[:7], self.NOTES[1], self.NOTES[2])

    def test_checkpoints_of_two_ledgers(self):
        """Are not consistent with each other."""
        other = self.NOTES[2].replace("imcm/0", "imcm/1")
        with pytest.raises(InvalidValue, match="same ledger"):
            prove_consistency(self.ROWS, self.NOTES[1], other)

    def test_of_several_notes_the_last_counts(self):
        """So the text of an anchors file will do; none at all is refused."""
        both = "".join(self.NOTES[:2])
        wanted = prove(self.ROWS, "incident:INC-1", checkpoint=self.NOTES[1])
        assert wanted == prove(self.ROWS, "incident:INC-1", checkpoint=both)
        for note in ("", "x"):
            with pytest.raises(InvalidValue):
                prove(self.ROWS, "incident:INC-1", checkpoint=note)

    def test_keys(self):
        """A proof against a signed checkpoint, and against one that is not."""
        [proof] = prove(self.ROWS, "incident:INC-1", 1, checkpoint=self.NOTES[2])
        assert check_proof(proof, self.NOTES[2], keys=[VKEY])
        with pytest.raises(ProofRefusedError, match="not signed"):
            check_proof(proof, self.NOTES[2], keys=[vkey("log.example", OTHER)])

    @pytest.mark.parametrize("wrong", [None, {}, [], 3, "x"])
    def test_what_is_no_proof(self, wrong):
        """Is refused with an error of the library."""
        with pytest.raises(ProofRefusedError, match="proof"):
            check_proof(wrong, self.NOTES[2])

    def test_rows_that_are_none(self):
        """The store's fault."""
        for call in (
            lambda: prove([(1,)], "a", checkpoint=self.NOTES[2]),
            lambda: prove_consistency([(1,)], self.NOTES[1], self.NOTES[2]),
        ):
            with pytest.raises(StoreError):
                call()


class TestSigner:
    def test_a_signature_that_does_not_fit_is_not_given_away(self):
        """A function that signs with another key is noticed at once."""
        for wrong in (lambda m: sign(OTHER, m), lambda _: b"", lambda _: None):
            with pytest.raises(InvalidValue, match="does not fit its public key"):
                made(log(3), signer=Signer(VKEY, wrong))

    def test_a_bad_key(self):
        """Is refused when the signer is made."""
        with pytest.raises(InvalidValue, match="key"):
            Signer("x", lambda m: m)

    def test_it_shows_its_public_key_only(self):
        """Whatever signs stays hidden."""
        assert repr(SIGNER) == f"Signer({VKEY!r})"
        assert SIGNER.vkey == VKEY
        assert not hasattr(SIGNER, "__dict__")

    def test_without_the_package_the_extra_is_named(self, monkeypatch):
        """Making a key and reading one need it; a function as signer does not."""
        for name in ("", ".exceptions", ".hazmat.primitives.serialization"):
            monkeypatch.setitem(sys.modules, f"cryptography{name}", None)
        for call in (
            lambda: new_key("log.example"),
            lambda: Signer.from_pem("", name="log.example"),
        ):
            with pytest.raises(MissingExtraError, match=r"imcm\[sign\]"):
                call()
        assert made(log(3), signer=SIGNER)


class TestKeyFiles:
    @pytest.fixture(autouse=True)
    def _package(self):
        pytest.importorskip("cryptography", reason="needs the extra 'sign'")

    def test_a_new_key_signs_and_is_checked_without_the_package(self, tmp_path):
        """From text, from bytes and from a file."""
        pem, public_text = new_key("log.example/7")
        (tmp_path / "key.pem").write_text(pem, encoding="ascii")
        rows = log(5)
        for given in (pem, pem.encode(), tmp_path / "key.pem"):
            signer = Signer.from_pem(given, name="log.example/7")
            assert signer.vkey == public_text
            verdict = verify(rows, made(rows, signer=signer), keys=[public_text])
            assert (verdict.outcome, verdict.signed) == ("OK", True)

    def test_two_keys_are_two(self):
        """Each is drawn anew."""
        assert new_key("a")[1] != new_key("a")[1]

    def test_it_agrees_with_the_rfc(self):
        """The same secret, there and in the reference, is the same key."""
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric import ed25519

        private = ed25519.Ed25519PrivateKey.from_private_bytes(SECRET)
        pem = private.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"pass")
        )
        signer = Signer.from_pem(pem, name="log.example", password=b"pass")
        assert signer.vkey == VKEY
        assert signer.key.public == public(SECRET)
        assert made(log(5), signer=signer) == made(log(5), signer=SIGNER)
        for password in (None, b"wrong"):
            with pytest.raises(InvalidValue, match="password"):
                Signer.from_pem(pem, name="log.example", password=password)

    def test_other_kinds_of_keys(self):
        """Only Ed25519."""
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric import x25519

        pem = x25519.X25519PrivateKey.generate().private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
        with pytest.raises(InvalidValue, match="only Ed25519"):
            Signer.from_pem(pem, name="log.example")

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "\ud800"])
    def test_a_name_that_can_t_be_one(self, name):
        """Nothing that would break a signature line."""
        with pytest.raises(InvalidValue):
            new_key(name)

    def test_no_error_tells_the_secret(self, tmp_path):
        """A broken key file is not quoted, by no part of the error."""
        pem, _ = new_key("a")
        secret = pem.splitlines()[1]
        (tmp_path / "broken.pem").write_text(pem.replace("BEGIN", "BEGUN"), encoding="ascii")
        for given in (pem[40:], pem[:-40], tmp_path / "broken.pem", tmp_path, tmp_path / "none"):
            with pytest.raises(ImcmError) as refused:
                Signer.from_pem(given, name="a")
            told = f"{refused.value!r} {refused.value} {vars(refused.value)}"
            assert secret[10:30] not in told
            assert refused.value.__cause__ is None
        signer = Signer.from_pem(pem, name="a")
        assert secret[10:30] not in repr(signer)
