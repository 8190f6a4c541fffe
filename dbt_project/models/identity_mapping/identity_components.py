"""Persons as connected components of the accepted edges; tagloom.components has the method."""

import numpy as np
import pandas as pd
from tagloom.components import components_with_unique


def model(dbt, session):
    dbt.config(materialized="table")
    policy = dbt.ref("identity_policy").df()
    identifiers = dbt.ref("identity_identifiers").df().sort_values("identifier_key")
    edges = dbt.ref("identity_edges").df()
    edges = edges[edges["rejected_because"].isna()]

    unique_types = sorted(policy.loc[policy["is_unique"].astype(bool), "identifier_type"])
    kind_of_type = {name: number for number, name in enumerate(unique_types, start=1)}
    nodes = identifiers["identifier_key"].to_numpy(np.int64)
    kind = identifiers["identifier_type"].map(kind_of_type).fillna(0).to_numpy(np.int64)
    left, right = (edges[end].to_numpy(np.int64) for end in ("left_key", "right_key"))
    component = components_with_unique(nodes, kind, left, right, edges["strength"].to_numpy(np.int64))
    return pd.DataFrame({"identifier_key": nodes, "component_key": component})
