"""The commented declaration that `source new` writes: every key that a source of that kind needs, ready to fill in."""

from __future__ import annotations

from string import Template
from typing import get_args

from tagloom.source_tools.check import TO_FILL_IN
from tagloom.source_tools.schema import EDITOR_LINE
from tagloom.sources import FormatName

FILES = """\
    reader:
      kind: files  # somebody puts files into <landing>/$name/
      format: $format
      path: records_{date}.$suffix  # {date} is the day of the delivery as YYYY-MM-DD; * stands for anything but /
"""

DATABASE = """\
    reader:
      kind: database
      connection: $name  # Airflow connection id
      table: records  # or query: a select
      watermark: occurred_at  # column with the moment of the last change; without it the whole table is fetched
"""

API = """\
    reader:
      kind: api
      connection: $name  # Airflow connection id (http): address, and how to log in
      path: /records
      parameters: {since: "{first_day}", until: "{end_day}"}
      records: data  # where the list of records is in the answer
      paging: {kind: page, parameter: page, size_parameter: per_page, size: 100}  # or offset, cursor, next_link ...
"""

OBJECT_STORAGE = """\
    reader:
      kind: object_storage
      url: s3://bucket/records/{date}/*.parquet  # anything that fsspec reaches
      format: parquet
      connection: $name  # Airflow connection id; its extra holds what fsspec's file system wants
"""

PUSHED = """\
    reader: {kind: pushed}  # systems send events to POST /v1/events
"""

SUFFIXES = {"excel": "xlsx"}
"""Format -> suffix of its files, where the two differ."""

OTHER_READERS = {"database": DATABASE, "api": API, "object_storage": OBJECT_STORAGE, "pushed": PUSHED}

KINDS = (*get_args(FormatName), *OTHER_READERS)
"""What --format may be: the format of delivered files, or another way in which rows come."""

COMMENT_COLUMN = 38

DECLARATION = """\
$editor_line\
# Every key is explained in docs/sources.md. Is it in order? python -m tagloom source check
name: $name
title: $open  # what people call the system
title_zh: $open  # the same in Chinese
owner: $open  # e-mail address of who is told when its deliveries are wrong
party: first  # first: an own system; second: a partner's; third: bought or public
consent_basis: $open  # why the data may be used, such as contract or consent
licence: own data  # under which terms
schedule: "$schedule"  # cron expression in UTC$schedule_note
time_zone: UTC  # zone of its timestamps, such as Asia/Shanghai
build_waits_for_it: false  # true: the tags of a day wait until it has landed that day
tolerated_bad_share: 0.01  # a delivery with a larger share of bad rows does not land
tolerated_bad_rows: 10  # so many bad rows never keep a delivery from landing
tables:
  - name: records
    title: $open  # what a row is
$reader\
    grain: event  # event: adds rows; snapshot: says all that is true; change: says what was changed
    primary_key: [record_id]
    event_time: occurred_at  # when the row was true
    # identifiers: {card_number: loyalty_card}  # column -> type of identity/policy.yml
    columns:
      - {name: record_id, type: text, required: true, description: Number of the record}
      - {name: occurred_at, type: timestamp, required: true, description: When it happened}
      # - {name: card_number, type: text, pattern: "[0-9]{12}", personal_data: indirect, description: Loyalty card}
      # - {name: email, delivered_as: E-Mail, type: text, personal_data: direct, description: E-mail address}
"""


def new_declaration(name: str, kind: str) -> str:
    """A declaration of one table, to be filled in; it passes `source check` as it is. `kind` is one of KINDS."""
    reader = Template(OTHER_READERS.get(kind, FILES))
    may_arrive = kind not in ("database", "api", "object_storage")
    text = Template(DECLARATION).substitute(
        editor_line=EDITOR_LINE,
        name=name,
        open=TO_FILL_IN,
        schedule="on arrival" if kind == "pushed" else "@daily",
        schedule_note=", or on arrival: as files and events come in" if may_arrive else "",
        reader=reader.substitute(name=name, format=kind, suffix=SUFFIXES.get(kind, kind)),
    )
    return "".join(_aligned(line) for line in text.splitlines(keepends=True))


def _aligned(line: str) -> str:
    key, mark, comment = line.partition("  # ")
    return f"{key:<{COMMENT_COLUMN}}{mark}{comment}" if key.strip() and mark else line
