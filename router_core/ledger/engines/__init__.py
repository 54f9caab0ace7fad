"""Engines beside the database that sum days: DuckDB on one machine, Spark on many; the same text, the same cells."""
