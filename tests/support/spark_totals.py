"""What Spark finds in flow-log objects, told as JSON: `python -m tests.support.spark_totals MASTER < sources`.

Rule: a program of its own, because a process can have one Spark session, of one kind. It knows of the objects what it
is told: their folder, whether they are text or Parquet, and the names of Hive's partitions.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from pyspark.sql import Row, SparkSession
from pyspark.sql.functions import count, expr, lit
from pyspark.sql.functions import sum as total

CLASSIC: Final = {
    # Else account ids in folders are numbers, without their leading zeros.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.ui.enabled": "false",
    # A few small queries take less time than their compilation does.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
}
"""Options of a session that has no server of its own."""


def found(spark: SparkSession, source: dict[str, str]) -> list[list[Any]]:
    """Partition, interface, number of records, bytes and packets of each group of records."""
    partitions = source["partitions"].split()
    # Folders that are no partitions are gone down into only where Spark is told to.
    reader = spark.read.option("recursiveFileLookup", not partitions)
    if source["kind"] == "parquet":
        frame, interface = reader.parquet(source["folder"]), "interface_id"
    else:
        # All cells as text: Sail's `nullValue` is a pattern, and is not looked at where a type is given.
        frame, interface = reader.csv(source["folder"], sep=" ", header=True), "interface-id"
    groups = frame.groupBy(*(f"`{name}`" for name in [*partitions, interface]))
    sums = (total(expr(f"try_cast({name} AS BIGINT)")) for name in ("bytes", "packets"))
    rows: list[Row] = groups.agg(count(lit(1)), *sums).collect()
    return [list(row) for row in rows]


def main() -> None:
    """Read what is to be read from standard input, and print what was found in each."""
    master = sys.argv[1]
    builder = SparkSession.Builder()
    if master.startswith("sc://"):
        builder = builder.remote(master)
    else:
        builder = builder.master(master)
        for name, value in CLASSIC.items():
            builder = builder.config(name, value)
    spark = builder.getOrCreate()
    sources = json.load(sys.stdin)
    print(json.dumps({name: found(spark, source) for name, source in sources.items()}))
    spark.stop()


if __name__ == "__main__":
    main()
