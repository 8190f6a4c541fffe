"""Components of the accepted edges under the laws of the policy; tagloom.identity.partition has the method.

Gives the rows that the table does not have yet; the materialisation identity_partition writes them.
"""

import numpy as np
from tagloom.identity.partition import Graph, bring_up_to_date

NEVER_LINKED = """
    select
        left_identifiers.identifier_key as left_key,
        right_identifiers.identifier_key as right_key
    from {decisions} as decisions
    inner join {registry} as left_identifiers
        on
            decisions.left_type = left_identifiers.identifier_type
            and decisions.left_hash = left_identifiers.identifier_hash
    inner join {registry} as right_identifiers
        on
            decisions.right_type = right_identifiers.identifier_type
            and decisions.right_hash = right_identifiers.identifier_hash
    where decisions.kind = 'never_link'
"""


def model(dbt, session):
    dbt.config(materialized="identity_partition")

    def text(relation):
        return f"({relation.sql_query()})"

    registry = text(dbt.ref("identity_registry"))
    edges = text(dbt.ref("identity_edges").filter("rejected_because is null"))
    per_person = dbt.ref("identity_policy").filter("per_person is not null").project("identifier_type, per_person")
    decisions = text(dbt.ref("stg_operations__identity_decisions"))
    never_linked = session.execute(NEVER_LINKED.format(decisions=decisions, registry=registry)).fetchall()
    pairs = np.array(never_linked, dtype=np.int64).reshape(-1, 2)

    graph = Graph(registry, edges, dict(per_person.fetchall()), (pairs[:, 0], pairs[:, 1]))
    solved_edges = f'"{dbt.this.database}"."{dbt.this.schema}"."identity_solved_edges"'
    return bring_up_to_date(session, graph, str(dbt.this), solved_edges)
