"""
#### Purpose

Lands what one source system delivered: good rows in `raw_<source>`, rows that break the declaration in
`operations.quarantine` with file, line, column and reason, and one line per table in `operations.landing_log`.

There is one such DAG for each file in `sources/`; to add a source, add a file. A run lands the days of its data
interval. Databases, APIs and object stores are asked first (`fetch`, a task per table, several at a time). A source
that says `schedule: on arrival` has no intervals: the triggerer watches its landing folder, a run lands what came in.

#### By hand

Trigger it with `first_day` and `end_day` to land those days again: a run replaces its own days and no others, so it may
be repeated. Many intervals at once: `airflow backfill create` (not on arrival: give the days instead). A run for which
nothing was delivered is skipped.

#### When it fails

The log and the mail name the file, the column and the first lines that are wrong. Nothing of a delivery with too many
bad rows lands; what landed before stays. Correct the file or the declaration and clear the task. Of what came in on
arrival, the days that are in order land all the same; the task `refused` fails for each of the others.
"""

from tagloom.orchestration.ingest import ingest_dag, unreadable_dags
from tagloom.settings import load_settings
from tagloom.sources import readable_sources

sources, problems = readable_sources(load_settings().sources)

# One wrong declaration must not stop the others; the DAG in its place says what is wrong.
for dag in [*(ingest_dag(source, documentation=__doc__) for source in sources), *unreadable_dags(problems, __doc__)]:
    globals()[dag.dag_id] = dag
