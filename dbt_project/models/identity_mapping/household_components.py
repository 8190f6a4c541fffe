"""Households as connected components of household relations; tagloom.identity.households has the method."""

import pandas as pd
from tagloom.identity.households import households_of


def model(dbt, session):
    dbt.config(materialized="table", meta={"updates": "full_build"})
    rules = dbt.ref("identity_rules").df().set_index("name")["value"]
    relations = dbt.ref("person_relations").df()
    relations = relations[relations["kind"] == "household"]

    persons, component = households_of(
        relations["person_id"].to_numpy("int64"),
        relations["related_person_id"].to_numpy("int64"),
        relations["evidence"].to_numpy("int64"),
        at_most_persons=int(rules["household.at_most_persons"]),
    )
    return pd.DataFrame({"person_id": persons, "component_person_id": component})
