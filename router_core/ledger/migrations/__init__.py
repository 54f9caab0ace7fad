"""Numbered steps of the schema; applied steps are recorded in the ledger and never edited."""
