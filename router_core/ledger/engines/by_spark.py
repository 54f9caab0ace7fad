"""Days summed by Spark, all in one go, from Parquet that its workers can read: the archive's, or staged for it."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from router_core.errors import InputError, LedgerError
from router_core.ledger.archive_days import unchanged
from router_core.ledger.bulk import Row
from router_core.ledger.dimensions import KINDS
from router_core.ledger.engines.texts import TEXTS, columns, numbered, plain, sum_day
from router_core.ledger.manifest import Manifest
from router_core.ledger.parts import PARTS, Part, write_parquet
from router_core.ledger.rollup import DaySums
from router_core.ledger.snapshot import ByDriver
from router_core.ledger.store import Ledger

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_GENERATION = sa.text("SELECT generation FROM dirty_day WHERE day = :day")
_EVERYTHING = {"low": bytearray(16), "high": bytearray(b"\xff" * 16)}
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "16",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


class Spark:
    """Sums days on the cluster at ``master``; raises ``InputError`` where pyspark or Java is not installed.

    Days that no archive holds as they are now are first written to ``staging``, which every worker must be able to
    read, as it must the archive; without it, to a folder for temporary files of this machine.
    """

    reads_archives = True

    def __init__(self, master: str = "local[*]", staging: Path | None = None) -> None:
        if find_spec("pyspark") is None:
            raise InputError("Spark is not installed; install tierwise[spark], or leave --engine out")
        if shutil.which("java") is None:
            raise InputError("Spark needs Java, and there is none; install Java 17 (Debian: openjdk-17-jre-headless)")
        self._master = master
        self._staging = staging

    def sums(self, ledger: Ledger, days: Sequence[int], archives: Mapping[int, Manifest]) -> Iterator[DaySums]:
        """Yield the cells of days; raises ``LedgerError`` where the database or the cluster fails."""
        try:
            staging = Path(tempfile.mkdtemp(prefix="tierwise-spark-", dir=self._staging))
        except OSError as error:
            raise InputError(f"days cannot be staged there: {error.strerror}", source=str(self._staging)) from None
        try:
            generations: dict[int, int] = {}
            named: dict[str, list[str]] = defaultdict(list)
            staged: dict[str, list[str]] = defaultdict(list)
            for day in days:
                generation = _provide(ledger, day, archives.get(day), staging, named, staged)
                if generation is not None:
                    generations[day] = generation
            if generations:
                yield from self._run(generations, _write_names(ledger, staging), named, staged)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _run(
        self,
        generations: Mapping[int, int],
        names: Path,
        named: Mapping[str, Sequence[str]],
        staged: Mapping[str, Sequence[str]],
    ) -> Iterator[DaySums]:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            with _session(self._master) as spark:
                spark.read.parquet(_address(names)).createOrReplaceTempView("names")
                for part in PARTS:
                    _view(spark, part, named[part.table], staged[part.table])
                found: dict[str, dict[int, list[Row]]] = {}
                for text in TEXTS:
                    by_day = found.setdefault(text, defaultdict(list))
                    for row in spark.sql(text, args=_EVERYTHING).collect():
                        by_day[row[0]].append(tuple(row))
        except (PySparkException, Py4JError) as error:
            raise LedgerError(f"Spark at {self._master} failed: {str(error).strip().splitlines()[0]}") from error
        strange = {day for by_day in found.values() for day in by_day} - set(generations)
        if strange:
            raise LedgerError(f"rows of the days asked for carry other days: {sorted(strange)[:5]}")
        for day, generation in generations.items():
            yield sum_day(day, generation, lambda text, day=day: found[text][day])  # type: ignore[misc]


def _provide(
    ledger: Ledger,
    day: int,
    archive: Manifest | None,
    staging: Path,
    named: dict[str, list[str]],
    staged: dict[str, list[str]],
) -> int | None:
    """Find or write the files of a day; returns the generation of the rows they hold, None where it is clean."""
    low, high = ledger.days.id_range(day, day)
    with ledger.reading() as connection:
        found = connection.execute(_GENERATION, {"day": day}).scalar()
        if found is None:
            return None
        archive = archive or unchanged(ledger, connection, day)
        for part in PARTS:
            if archive is not None:
                named[part.table].append(_address(archive.path(day, part.table)))
                continue
            path = staging / f"{part.table}-{day}.parquet"
            write_parquet(path, part.schema, ByDriver(connection).rows(part, low, high))
            staged[part.table].append(_address(path))
    return int(found)


def _write_names(ledger: Ledger, staging: Path) -> Path:
    listed = [(kind, name, number) for kind in KINDS for number, name in ledger.dimension_names(kind).items()]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column) for column in zip(*listed, strict=True)], names=["kind", "name", "number"]
    )
    write_parquet(staging / "names.parquet", batch.schema, [batch])
    return staging / "names.parquet"


def _address(path: Path) -> str:
    return f"file://{path.resolve()}"  # Spark wants it as it is, not escaped


def _view(spark: SparkSession, part: Part, named: Sequence[str], staged: Sequence[str]) -> None:
    """Give Spark a table of a name and with the columns as the ledger has them."""
    queries = []
    if named:
        spark.read.parquet(*named).createOrReplaceTempView(f"named_{part.table}")
        queries.append(numbered(part, f"named_{part.table}"))
    if staged:
        spark.read.parquet(*staged).createOrReplaceTempView(f"staged_{part.table}")
        queries.append(plain(part, f"staged_{part.table}"))
    spark.sql(" UNION ALL ".join(queries)).select(*columns(part)).createOrReplaceTempView(part.table)


@contextmanager
def _session(master: str) -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    settings: dict[str, Any] = dict(_SETTINGS)
    if not master.startswith("local"):  # workers elsewhere must be able to reach this machine
        del settings["spark.driver.bindAddress"], settings["spark.driver.host"]
    builder = SparkSession.builder.master(master).appName("tierwise rollup")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()
