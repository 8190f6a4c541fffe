"""
#### Purpose

Writes dbt's documentation of every model and column as one HTML file, `dbt/target/static_index.html` in the home. It
starts when `build_tags` has built the last layer, and does nothing while the definitions are the documented ones:
nobody waits for it, and it is not written for each day's numbers.

#### By hand

`make docs` does the same.

#### When it fails

The log has dbt's message. Nothing else waits for this DAG.
"""

from tagloom.orchestration.documentation import document_models_dag

document_models = document_models_dag(documentation=__doc__)
