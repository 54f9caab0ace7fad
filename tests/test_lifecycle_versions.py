"""Versions are immutable, the newest is live, and a running process follows it within a second."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from router_core.config import RoutingConfig, default_config, set_values
from router_core.errors import ConfigError, InputError, LedgerError, VersionConflictError
from router_core.ledger.store import Ledger
from router_core.lifecycle import versions
from router_core.lifecycle.versions import ConfigWatch


def moved(complex_from: int) -> RoutingConfig:
    return set_values(default_config(), [f"boundaries.COMPLEX={complex_from}"])


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - began


def test_a_new_ledger_starts_with_the_shipped_configuration(ledger: Ledger) -> None:
    first = versions.live(ledger)
    assert (first.version, first.author, first.config) == (1, "tierwise", default_config())
    assert versions.live(ledger) == first
    assert versions.history(ledger) == [first]


def test_many_processes_opening_a_new_ledger_agree_on_the_first_version(ledger: Ledger) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(versions.live(ledger).version)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    assert len(versions.history(ledger)) == 1


def test_a_push_is_live_with_its_author_note_and_projection(ledger: Ledger) -> None:
    pushed = versions.push(ledger, moved(70), author="ada", note="cheaper", projection={"change": -5})
    assert versions.live(ledger) == pushed
    assert (pushed.version, pushed.author, pushed.note, pushed.projection) == (2, "ada", "cheaper", {"change": -5})
    assert abs(pushed.created_at_ms - time.time() * 1000) < 60_000
    assert pushed.config.boundaries() == (0, 45, 70, 92)


def test_a_push_is_written_to_the_audit_log(ledger: Ledger) -> None:
    versions.push(ledger, moved(70), author="ada", note="cheaper")
    with ledger.reading() as connection:
        events = connection.execute(sa.text("SELECT who, what, detail FROM event ORDER BY id")).all()
    assert tuple(events[-1]) == ("ada", "push", "version 2: cheaper")


def test_a_version_keeps_every_value_so_that_later_defaults_cannot_change_it(ledger: Ledger) -> None:
    versions.push(ledger, moved(70), author="ada", note="")
    with ledger.reading() as connection:
        kept = connection.execute(sa.text("SELECT config_json FROM config_version WHERE version = 2")).scalar_one()
    assert RoutingConfig.model_validate_json(kept) == moved(70)
    assert '"warm_seconds":600' in kept


def test_plain_data_is_validated_before_anything_is_pushed(ledger: Ledger) -> None:
    with pytest.raises(ConfigError, match="boundaries cross"):
        versions.push(
            ledger,
            {**default_config().model_dump(), "features": {"x": {"boundaries": {"COMPLEX": 1}}}},
            author="ada",
            note="",
        )
    assert versions.live(ledger).version == 1


def test_the_second_of_two_people_gets_a_conflict_and_nothing_is_lost(ledger: Ledger) -> None:
    start = versions.live(ledger).version
    versions.push(ledger, moved(70), author="ada", note="", expected=start)
    with pytest.raises(VersionConflictError, match="starts from version 1, but version 2 is live now") as caught:
        versions.push(ledger, moved(60), author="bob", note="", expected=start)
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert versions.live(ledger).config == moved(70)
    assert versions.push(ledger, moved(60), author="bob", note="", expected=2).version == 3


def test_pushes_at_the_same_moment_from_the_same_start_make_one_version(ledger: Ledger) -> None:
    versions.live(ledger)
    outcomes: list[str] = []

    def push(mark: int) -> None:
        try:
            versions.push(ledger, moved(mark), author=str(mark), note="", expected=1)
            outcomes.append("pushed")
        except VersionConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=push, args=(mark,)) for mark in range(60, 68)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["pushed"]
    assert len(versions.history(ledger)) == 2


def test_rolling_back_is_a_new_version_and_history_stays(ledger: Ledger) -> None:
    versions.push(ledger, moved(70), author="ada", note="cheaper")
    back = versions.rollback(ledger, 1, author="bob", note="complaints")
    assert (back.version, back.author, back.note) == (3, "bob", "back to version 1: complaints")
    assert back.config == default_config()
    assert [one.config.boundaries()[2] for one in versions.history(ledger)] == [75, 70, 75]


def test_rolling_back_to_what_is_live_or_never_was_is_refused(ledger: Ledger) -> None:
    versions.push(ledger, moved(70), author="ada", note="")
    with pytest.raises(InputError, match="version 2 is live already"):
        versions.rollback(ledger, 2, author="ada")
    with pytest.raises(LedgerError, match="there is no configuration version 9; there are versions 1 to 2"):
        versions.rollback(ledger, 9, author="ada")


def test_a_watch_follows_pushes_of_this_process(ledger: Ledger) -> None:
    with ConfigWatch(ledger, poll_s=0.05) as watch:
        assert watch.current == (1, default_config())
        versions.push(ledger, moved(70), author="ada", note="")
        wait_for(lambda: watch.current == (2, moved(70)))
        versions.rollback(ledger, 1, author="ada")
        wait_for(lambda: watch.current == (3, default_config()))


def test_a_watch_follows_another_process_within_a_second(ledger: Ledger, db_path: Path) -> None:
    program = (
        "import sys; from router_core.ledger.store import open_ledger; from router_core.lifecycle import versions\n"
        "from router_core.config import *\n"
        "with open_ledger(sys.argv[1]) as ledger:\n"
        "    input()\n"
        "    versions.push(ledger, set_values(default_config(), ['boundaries.COMPLEX=70']), author='x', note='')\n"
        "    print('pushed', flush=True)\n"
    )
    with (
        ConfigWatch(ledger) as watch,
        subprocess.Popen(
            [sys.executable, "-c", program, str(db_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "pushed\n"
        assert wait_for(lambda: watch.current[0] == 2) < 1.0
        assert watch.current[1] == moved(70)


def test_a_watch_keeps_answering_while_another_process_holds_the_database(ledger: Ledger) -> None:
    with ConfigWatch(ledger, poll_s=0.02) as watch:
        with ledger.writing():  # the one write lock there is
            pusher = threading.Thread(target=lambda: versions.push(ledger, moved(70), author="ada", note=""))
            pusher.start()
            time.sleep(0.3)
            assert watch.current == (1, default_config())
        pusher.join()
        wait_for(lambda: watch.current[0] == 2)


def test_a_watch_survives_a_ledger_that_cannot_be_read_for_a_while(ledger: Ledger) -> None:
    with ConfigWatch(ledger, poll_s=0.02) as watch:
        with ledger.writing() as connection:
            connection.execute(sa.text("ALTER TABLE config_version RENAME TO config_version_away"))
        wait_for(lambda: watch.problem is not None)
        assert watch.current == (1, default_config())
        with ledger.writing() as connection:
            connection.execute(sa.text("ALTER TABLE config_version_away RENAME TO config_version"))
        versions.push(ledger, moved(70), author="ada", note="")
        wait_for(lambda: watch.current[0] == 2)
        wait_for(lambda: watch.problem is None)


@pytest.mark.parametrize("stored", ["{", '{"tiers": [], "novelty": 1}'])
def test_a_version_this_program_cannot_use_leaves_the_last_good_one_live(ledger: Ledger, stored: str) -> None:
    with ConfigWatch(ledger, poll_s=0.02) as watch:
        from router_core.ledger.config_versions import add_version

        add_version(ledger, stored, "newer", "")
        wait_for(lambda: watch.problem is not None)
        assert "version 2 cannot be used by this Tierwise" in str(watch.problem)
        assert watch.current == (1, default_config())


def test_looking_is_cheap(ledger: Ledger) -> None:
    from router_core.ledger.config_versions import live_version

    versions.live(ledger)
    began = time.perf_counter()
    for _ in range(100):
        live_version(ledger)
    assert time.perf_counter() - began < 1.0  # about a quarter of a millisecond each, four times a second
