"""Writes the tag integration layer from the tag twins: wide tables, the catalogue and the statistics, as plain SQL.

`make tags` does it, and `make lint` fails when what is written is stale.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tagloom.tags.catalogue import catalogue_files
from tagloom.tags.definitions import TagError, TagModel
from tagloom.tags.history import history_files
from tagloom.tags.long_form import long_form_files
from tagloom.tags.scores import score_files
from tagloom.tags.statistics import statistics_files
from tagloom.tags.wide_tables import stale_value_files, wide_table_files
from tagloom.tags.written_text import published


def integration_files(models: list[TagModel]) -> dict[Path, str]:
    """Path below dbt_project -> content, for every file that follows from the tag twins.

    Raises TagError when no tag is published.
    """
    files = catalogue_files(models)
    models = [model for model in models if published(model)]
    if not models:
        raise TagError("models/tag_category: no tag has the status published; there is nothing to put side by side")
    for object_name, group in groupby(models, key=lambda model: model.object):
        files |= wide_table_files(object_name, list(group))
    files |= stale_value_files(models) | statistics_files(models) | score_files()
    return files | history_files(models) | long_form_files(models)
