"""Everything that knows Airflow: ingest_<source>, one DAG per declaration, build_tags and update_tags.

No other package imports Airflow, but for the files that Airflow itself looks for.
"""

from __future__ import annotations

from tagloom.settings import PROJECT


def foreground_run(dag_id: str, conf: dict[str, str]) -> str:
    """Run a DAG of dags/ in this process, without any service, and return the state of its run.

    Pools are not honoured this way, so only one such run may be under way. Nothing is tried again: whoever watches
    should not wait for minutes to be told what is wrong.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags")
    if bag.import_errors:
        raise RuntimeError("\n".join(bag.import_errors.values()))
    dag = bag.get_dag(dag_id)
    for task in dag.tasks:
        task.retries = 0
    return str(dag.test(run_conf=conf).state)
