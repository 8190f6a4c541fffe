"""
#### Purpose

Lands what one source system delivered: good rows in `raw_<source>`, rows that break the declaration in
`operations.quarantine` with file, line, column and reason, and one line per table in `operations.landing_log`.

There is one such DAG for each file in `sources/`; to add a source, add a file.

#### By hand

Trigger it with `first_day` and `end_day` to land those days again: a run replaces its own days and no others, so it may
be repeated. A run without them lands the days of its data interval. A run for which nothing was delivered is skipped.

#### When it fails

The log and the mail name the file, the column and the first lines that are wrong. Nothing of a delivery with too many
bad rows lands; what landed before stays. Correct the file or the declaration and clear the task.
"""

from tagloom.orchestration import ingest_dag
from tagloom.settings import load_settings
from tagloom.sources import load_sources

for source in load_sources(load_settings().sources):
    globals()[f"ingest_{source.name}"] = ingest_dag(source, documentation=__doc__)
