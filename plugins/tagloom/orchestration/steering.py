"""steer_identity, which does what stewards ask for in the portal."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from tagloom.orchestration.common import FIRST_IN_LINE, START_DATE, default_arguments, log
from tagloom.portal.store.base import open_store, store_exists
from tagloom.settings import load_settings
from tagloom.warehouse import POOL

EVERY = timedelta(minutes=5)
"""The portal writes decisions at once when nobody has the warehouse; this is for those taken during a build."""


def steer_identity_dag(documentation: str) -> DAG:
    """Make the DAG that carries requests of the portal out."""
    with DAG(
        dag_id="steer_identity",
        description="Decisions and simulations asked for in the portal (身份决策与模拟)",
        doc_md=documentation,
        schedule=EVERY,
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(),
        tags=["identity"],
    ) as dag:
        _decide() >> _simulate()
    return dag


@task(task_id="decide", pool=POOL, **FIRST_IN_LINE)
def _decide() -> dict:
    """Write decisions and withdrawals, and renew what the portal shows of the warehouse."""
    from tagloom.steering.notes import take_notes
    from tagloom.steering.requests import carry_out_decisions

    settings = load_settings()
    if not store_exists(settings):
        raise AirflowSkipException("Nobody has used the portal yet.")
    with open_store(settings).session() as session:
        done = carry_out_decisions(settings, session, patiently=True)
        for request in done:
            log.info("request %s, %s: %s. %s", request.id, request.kind, request.status, request.answer)
        taken = take_notes(settings, session)
    return {"decided": len(done), "renewed": taken}


@task(task_id="simulate", pool=POOL)
def _simulate() -> dict:
    """Run the simulation that waits longest."""
    from tagloom.steering.requests import SIMULATE, carry_out_simulation, waiting

    settings = load_settings()
    with open_store(settings).session() as session:
        if not waiting(session, SIMULATE):
            raise AirflowSkipException("No simulation was asked for.")
        request = carry_out_simulation(settings, session, say=lambda text: log.info("%s", text))
        if request is None:
            raise AirflowSkipException("Another process runs the simulation.")
        log.info("request %s: %s. %s", request.id, request.status, request.answer)
        return {"request": request.id, "status": request.status}
