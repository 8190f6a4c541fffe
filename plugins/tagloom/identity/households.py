"""Who lives with whom: persons in groups, out of pairs of persons, none of which grows over a limit by chaining."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagloom.identity.components import Keys, solve

_NOBODY = np.array([], dtype=np.int64)
_STRONGEST_EVIDENCE = 8
"""Below the strength of what a person has decided, which no limit would stop."""


def households_of(
    person: Keys, related_person: Keys, evidence: NDArray[np.integer], *, at_most_persons: int
) -> tuple[Keys, Keys]:
    """Persons of households, and the smallest person of each one's household.

    Neighbours of neighbours are taken together as long as at most `at_most_persons` come together. Where a chain is
    longer, the pairs with most evidence are joined first, equal ones in the order of their numbers, and a pair that
    would make a household too large is left out. Who is left alone by that has no household.

    Args:
        person, related_person: ends of the relations, shape (n,).
        evidence: how many things each pair shares, shape (n,).
        at_most_persons: limit of a household, at least 2.

    Returns:
        (persons, component), ascending persons and the smallest person of each one's household, shape (m,) each.
    """
    persons = np.union1d(person, related_person)
    _, component = solve(
        persons,
        np.ones(len(persons), dtype=np.int64),
        np.array([0, at_most_persons], dtype=np.int64),
        person,
        related_person,
        np.minimum(evidence, _STRONGEST_EVIDENCE),
        _NOBODY,
        _NOBODY,
    )
    households, members = np.unique(component, return_counts=True)
    is_household = np.isin(component, households[members > 1])
    return persons[is_household], component[is_household]
