"""
Change failure rate of Wikimedia's production configuration, from its public commits.

    python examples/config_changes.py PATH [LEDGER]

PATH is changes.csv.gz (or the CSV in it). A change is a single-parent commit that is not itself
a revert; it failed when a later revert names it, and the first such revert counts. Reverts are
recorded as changes of kind rollback, which are no deployments of their own.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from imcm import (
    Freeze,
    History,
    Ledger,
    Policy,
    Source,
    Weekly,
    change_failure_rate,
    facts,
    failed_deployment_recovery_time,
    lead_time,
    what_if,
)
from imcm.domain.change_events import (
    ChangeCompleted,
    ChangePlanned,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.vocabulary import ChangeType, Commit, Kind

Row = dict[str, str]
SERVICE = ("mediawiki-config",)
NOT_ON_FRIDAY = Policy(
    name="not on Friday",
    freezes=[Freeze(name="weekend", times=Weekly(start="Fri 12:00", end="Mon 06:00"))],
)


def rows(path: Path) -> list[Row]:
    """Return all commits, in the order of the file."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def first_reverts(commits: list[Row]) -> dict[str, datetime]:
    """Return, for each commit that a revert names, when the first one was committed."""
    found: dict[str, datetime] = {}
    for row in filter(is_revert, commits):
        when = datetime.fromisoformat(row["committed_at"])
        for sha in filter(None, row["reverts_shas"].split(";")):
            found[sha] = min(found.get(sha, when), when)
    return found


def is_revert(row: Row) -> bool:
    """Say whether a commit is titled as a revert or names the commits it reverts."""
    return row["is_revert"] == "1" or bool(row["reverts_shas"])


def histories(commits: list[Row]) -> Iterator[History]:
    """Yield one history for each single-parent commit."""
    reverted = first_reverts(commits)
    source = Source(name="wikimedia")
    for row in commits:
        if row["n_parents"] != "1":
            continue
        sha, by = row["sha"], row["author_pid"]
        authored = datetime.fromisoformat(row["authored_at"])
        committed = datetime.fromisoformat(row["committed_at"])
        revert = is_revert(row)
        commit = Commit(id=sha, authored_at=authored, committed_at=committed)
        events: list[ChangePlanned | CommitsRecorded | ChangeCompleted | ChangeRolledBack] = [
            ChangePlanned(
                at=None,
                by=by,
                title=row["subject"],
                type=ChangeType.NORMAL,
                kind=Kind.ROLLBACK if revert else Kind.CONFIGURATION,
                services=SERVICE,
                imported=True,
            ),
            CommitsRecorded(at=committed, by=by, commits=(commit,), imported=True),
            ChangeCompleted(at=committed, by=row["committer_pid"], imported=True),
        ]
        if not revert and sha in reverted:
            taken_back = ChangeRolledBack(
                at=reverted[sha], by="revert", reached_production=True, imported=True
            )
            events.append(taken_back)
        yield History(stream=f"change:{sha}", events=tuple((event, source) for event in events))


def main(path: Path, ledger_path: Path) -> None:
    with Ledger(ledger_path) as ledger:
        count, recorded = ledger.bring_in(histories(rows(path)))
        print(f"{count:,} commits, {recorded:,} events recorded in {ledger_path.name}")
        known = facts(ledger.replay(words=False))

    rate = change_failure_rate(known)
    print(
        f"\n{rate.n:,} changes, {rate.counts['failed']:,} failed, {100 * (rate.value or 0):.3f} %"
    )
    reverted = failed_deployment_recovery_time(known, recovered_by=("rolled_back",))
    told = [reverted.value, *(reverted.beside[name] for name in ("mean", "p90", "max"))]
    median, mean, p90, longest = ((value or 0) / 3600 for value in told)
    print(f"time from change to revert, in hours: median {median:.4f}, mean {mean:.4f}, ", end="")
    print(f"p90 {p90:.4f}, max {longest:,.2f}")
    for negative, name in (
        ("include", "with the negative ones"),
        ("leave_out", "without those a minute or more below 0"),
    ):
        lead = lead_time(known, start="authored", roll_forward=False, negative=negative)
        median, mean = (lead.value or 0) / 3600, (lead.beside["mean"] or 0) / 3600
        print(f"authored to committed, in hours, {name}: ", end="")
        print(f"median {median:.4f}, mean {mean:.2f}")
    for year in (2025, 2024, 2018):
        window = (datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
        figure = change_failure_rate(known, window=window)
        back = failed_deployment_recovery_time(known, recovered_by=("rolled_back",), window=window)
        print(
            f"{year}: {figure.n:,} changes, {figure.counts['failed']:,} failed, "
            f"{100 * (figure.value or 0):.4f} %, median {(back.value or 0) / 3600:.4f} h to revert"
        )
    print(f"\n{rate.explain()}")
    since_2020 = (datetime(2020, 1, 1, tzinfo=UTC), None)
    print(f"\n{what_if(known, NOT_ON_FRIDAY, window=since_2020).explain()}")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python examples/config_changes.py PATH [LEDGER]")
    if len(sys.argv) == 3:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(sys.argv[1]), Path(folder) / "changes.db")
