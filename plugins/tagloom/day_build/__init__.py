"""A build for a later day that computes only what the day has changed: facts that came in, windows that moved on.

It goes on from a finished build, its base. What can have changed is found from the base to the end of the day:

- facts: orders, sessions and visits with new rows, of identifiers that changed hands, of products that the catalogue
  describes anew; small tables of facts are left out when nothing behind them has changed, else computed whole and
  compared; sums per month are computed again for the months that these orders lie in;
- persons: those of changed facts and of changed golden records, and those with a fact that enters or leaves a window of
  the model in question (`windows`); a model is computed over the facts of its persons alone;
- what compares persons, or moves for everybody every day, is computed whole.

Everything that was found stays noted until the build is finished, and the base is replaced at the end in one
transaction: after a kill the next build starts from the same base and finds the same, or more.
"""

from tagloom.day_build.layer import BuiltLayer, build_layer_of_day
from tagloom.day_build.models import FULL_BUILD, LAYERS, PERSON_TABLE
from tagloom.day_build.plan import Plan, finish, note_update

__all__ = [
    "FULL_BUILD",
    "LAYERS",
    "PERSON_TABLE",
    "BuiltLayer",
    "Plan",
    "build_layer_of_day",
    "finish",
    "note_update",
]
