"""
#### Purpose

Turns what landed into persons, tags, audiences and reports: staging, identity mapping, intermediate, tag category, tag
integration, serving, then publish. Each layer is one dbt run followed by its Soda checks; a failed check stops what is
above it, the last published version stays in use, and the owners get a mail.

It starts when every source that `build_waits_for_it` has landed a day. While it runs, what arrives in small batches
waits; `update_tags` takes it up when the build has ended.

#### By hand

Trigger it with `as_of_date` to build any past day again; without it the last complete local day is built. Every task
may be repeated and may be killed at any moment.

#### When it fails

The mail and the task's log name the check or the model, what depends on it and what to do. Clear the failed task: the
layers before it are not built again.
"""

from tagloom.orchestration.build import build_tags_dag
from tagloom.settings import load_settings

build_tags = build_tags_dag(load_settings().sources, documentation=__doc__)
