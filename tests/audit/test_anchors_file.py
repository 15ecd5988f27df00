"""The anchors file: made longer by one at a time, never half a note, and never a dead end."""

import errno
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import imcm
from imcm import Ledger, audit, incident, verifier
from imcm.errors import InvalidValue, LogDiffersError, StoreError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", clock=lambda: NOW) as made:
        made.record("INC-1", incident.detect, by="ana", at=NOW, title="x")
        yield made


@pytest.fixture
def anchors(tmp_path):
    return tmp_path / "anchors.txt"


def grow(ledger, number):
    at = NOW + timedelta(microseconds=number)
    ledger.record("INC-1", incident.post_update, by="ana", at=at, text=f"{number}")


class TestOneAfterTheOther:
    def test_the_file_is_made_and_grows_by_whole_notes(self, ledger, anchors):
        for number in range(3):
            made = audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
            assert made.size == 2 + number
            grow(ledger, number)
        assert [2, 3, 4] == [one.size for one in verifier.read_anchors(anchors.read_text())]
        assert ["anchors.txt", "ledger.db", "ledger.db-shm", "ledger.db-wal"] == sorted(
            one.name for one in anchors.parent.iterdir()
        )

    def test_from_python_the_whole_text_comes_back(self, ledger):
        first = audit.checkpoint(ledger.rows(), anchors="", at=NOW)
        second = audit.checkpoint(ledger.rows(), anchors=first, at=NOW)
        assert second.startswith(first)
        assert len(verifier.read_anchors(second)) == 2

    def test_many_at_once_are_in_order(self, ledger, anchors, tmp_path):
        """Eight processes make checkpoints while somebody records."""
        code = (
            "import sys; from datetime import UTC, datetime; from imcm import LedgerReader, audit\n"
            "with LedgerReader(sys.argv[1]) as reader:\n"
            "    for _ in range(4):\n"
            "        audit.append_checkpoint(sys.argv[2], reader.rows(), at=datetime.now(UTC))\n"
        )
        home = str(Path(imcm.__file__).parents[1])
        words = [sys.executable, "-c", code, tmp_path / "ledger.db", anchors]
        running = [
            subprocess.Popen(words, env={**os.environ, "PYTHONPATH": home}, stderr=subprocess.PIPE)
            for _ in range(8)
        ]
        number = 0
        while any(one.poll() is None for one in running):
            grow(ledger, number)
            number += 1
        assert [(0, b"")] * 8 == [(one.returncode, one.stderr.read()) for one in running]
        for one in running:
            one.stderr.close()
        notes = verifier.read_anchors(anchors.read_text())
        assert 32 == len(notes)
        assert sorted(one.size for one in notes) == [one.size for one in notes]
        assert "OK" == audit.verify(ledger.rows(), anchors.read_text()).outcome

    def test_who_waits_in_vain_is_told(self, ledger, anchors):
        inside, go_on = threading.Event(), threading.Event()

        def slowly():
            inside.set()
            go_on.wait()
            yield from ledger.rows()

        thread = threading.Thread(target=lambda: audit.append_checkpoint(anchors, slowly(), at=NOW))
        thread.start()
        inside.wait()
        with pytest.raises(StoreError, match=r"somebody else is writing .*anchors\.txt"):
            audit.append_checkpoint(anchors, ledger.rows(), at=NOW, wait=0.05)
        go_on.set()
        thread.join()
        assert 1 == len(verifier.read_anchors(anchors.read_text()))

    def test_a_lock_that_a_dead_process_left_is_nobodys(self, ledger, anchors):
        anchors.with_name("anchors.txt.lock").write_text("")
        audit.append_checkpoint(anchors, ledger.rows(), at=NOW, wait=0)
        assert 1 == len(verifier.read_anchors(anchors.read_text()))

    def test_a_disk_that_fills_leaves_the_file_as_it_was(self, ledger, anchors, monkeypatch):
        audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
        before = anchors.read_bytes()

        def full(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr("imcm.files.os.fsync", full)
            with pytest.raises(StoreError, match="No space left on device"):
                audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
        assert before == anchors.read_bytes()
        assert [] == [one for one in anchors.parent.iterdir() if one.name.startswith(".")]
        audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
        assert 2 == len(verifier.read_anchors(anchors.read_text()))

    def test_a_link_is_followed_and_stays_one(self, ledger, anchors, tmp_path):
        real = tmp_path / "elsewhere" / "real.txt"
        real.parent.mkdir()
        anchors.symlink_to(real)
        for _ in range(2):
            audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
        assert anchors.is_symlink()
        assert 2 == len(verifier.read_anchors(real.read_text()))

    def test_who_may_read_it_stays(self, ledger, anchors):
        audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
        anchors.chmod(0o644)
        audit.append_checkpoint(anchors, ledger.rows(), at=NOW)
        assert 0o644 == anchors.stat().st_mode & 0o777


class TestAWayOut:
    def whole(self, ledger):
        first = audit.checkpoint(ledger.rows(), anchors="", at=NOW)
        grow(ledger, 1)
        return first, audit.checkpoint(ledger.rows(), anchors=first, at=NOW)

    def test_a_note_that_is_cut_off_anywhere_says_what_to_remove(self, ledger, anchors):
        first, both = self.whole(ledger)
        for cut in range(len(first) + 1, len(both)):
            text = both[:cut]
            with pytest.raises(InvalidValue) as no:
                audit.checkpoint(ledger.rows(), anchors=text, at=NOW)
            told = str(no.value)
            assert "the last checkpoint is cut off" in told
            assert "what stands before line 6 is whole" in told
            kept = "".join(text.splitlines(keepends=True)[:5])
            assert first == kept  # which is what the message says to keep
            assert "OK" == audit.verify(ledger.rows(), kept).outcome

    def test_with_signatures_as_well(self, ledger):
        pem, _ = audit.new_key("example.org/a")
        signer = audit.Signer.from_pem(pem, name="example.org/a")
        first = audit.checkpoint(ledger.rows(), anchors="", at=NOW, signer=signer)
        both = audit.checkpoint(ledger.rows(), anchors=first, at=NOW, signer=signer)
        lines = first.count("\n")
        whole = both.index("\n\n", len(first)) + 2  # from here on it is one without a signature
        for cut in (*range(len(first) + 1, whole), *range(whole + 1, len(both))):
            with pytest.raises(verifier.Unreadable, match=f"before line {lines + 1} is whole"):
                verifier.read_anchors(both[:cut])

    def test_nothing_before_it(self, ledger):
        with pytest.raises(verifier.Unreadable, match="nothing stands before it"):
            verifier.read_anchors("imcm/1\n2\n")

    def test_notes_in_the_wrong_order_say_how_to_mend_them(self, ledger):
        """As two made at the same moment by an earlier version left them."""
        first, both = self.whole(ledger)
        second = both.removeprefix(first)
        told = audit.verify(ledger.rows(), second + first)
        assert "DIFFERS" == told.outcome
        assert "move the note of anchor 2 in front of that one" in told.why[0]
        with pytest.raises(LogDiffersError, match="move the note of anchor 2"):
            audit.checkpoint(ledger.rows(), anchors=second + first, at=NOW)
        assert "OK" == audit.verify(ledger.rows(), first + second).outcome


class TestNothingIsShown:
    """Whatever is given by mistake in the place of anchors or of a public key."""

    SECRETS = (
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHhhfmzGdsgFmJxUnmYo\n-----END\n",
        "root:$6$saltsalt$hash:19000\nana:hunter2\n",
        "hunter2\n",
        "a\nhunter2\nhunter2\n\n",
    )

    @pytest.mark.parametrize("secret", SECRETS)
    def test_of_anchors_and_keys(self, ledger, secret, tmp_path):
        rows = list(ledger.rows())
        good = audit.checkpoint(rows, anchors="", at=NOW)
        path = tmp_path / "secret.txt"
        path.write_text(secret)
        proof = audit.prove(rows, "incident:INC-1", 1, checkpoint=good)[0]
        told = []
        for ask in (
            lambda: audit.checkpoint(rows, anchors=secret, at=NOW),
            lambda: audit.append_checkpoint(path, rows, at=NOW),
            lambda: audit.verify(rows, secret),
            lambda: audit.verify(rows, good, keys=[secret]),
            lambda: audit.verify(rows, good, keys=secret),
            lambda: audit.prove(rows, "incident:INC-1", checkpoint=secret),
            lambda: audit.check_proof(proof, secret),
            lambda: audit.check_proof(proof, good, keys=[secret]),
            lambda: audit.Signer(secret, bytes),
            lambda: verifier.read_proofs(secret),
            lambda: verifier.Key.parse(secret),
            lambda: verifier.Key.parse(f"name+{secret}"),
        ):
            with pytest.raises((InvalidValue, verifier.Unreadable)) as no:
                ask()
            told.append(f"{no.value} {getattr(no.value, 'value', '')}")
        words = {word for word in secret.replace(":", "\n").split("\n") if len(word) > 4}
        assert words
        assert [] == [(word, one) for one in told for word in words if word in one]
