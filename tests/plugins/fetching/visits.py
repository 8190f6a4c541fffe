"""The declaration that tests of fetching share: a source `shop` of one table, `visits`."""

from __future__ import annotations

from tagloom.sources import Source


def source_of_visits(reader: dict, time_zone: str = "UTC", **table: object) -> Source:
    """The source with that reader; `table` has further keys of the table's declaration, or other values of them."""
    return Source.model_validate(
        {
            "name": "shop",
            "title": "Shop",
            "title_zh": "商店",
            "owner": "data-team@example.com",
            "party": "first",
            "consent_basis": "contract",
            "licence": "own data",
            "time_zone": time_zone,
            "tables": [
                {
                    "name": "visits",
                    "title": "Visits",
                    "reader": reader,
                    "grain": "snapshot",
                    "primary_key": ["id"],
                    "columns": [{"name": "id", "type": "integer"}],
                }
                | table
            ],
        }
    )
