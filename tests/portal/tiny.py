"""The smallest published version: some persons with one tag, made in no time, for tests that publish often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
from tagloom.publish import Version, publish_from
from tagloom.settings import Settings

from tests.portal.world import DAY


def publish_tiny(settings: Settings, persons: int) -> Version:
    """Publish so many persons, numbered from 0 on; another number is another version."""
    with duckdb.connect() as warehouse:
        warehouse.execute(
            """
            create schema tag_integration;
            create table tag_integration.person_tags as select range as person_id, null::varchar as level
            from range($persons);
            create table tag_integration.tag_catalog as
            select 'level' as tag, 'person' as object, 'Level' as title, '等级' as title_zh, 'value/level' as category,
                'varchar' as data_type, 'published' as status
            """.replace("$persons", str(int(persons)))
        )
        moment = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(seconds=persons)
        return publish_from(warehouse, settings, DAY, moment)
