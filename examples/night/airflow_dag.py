"""The night as an Airflow DAG: one task for the run, one in the morning for what is still out.

Exit code 3 (a limit was reached) counts as skipped: the next night goes on with the rest. Nothing
is retried here: a run waits out an outage by itself, and a second one would no longer tell of
documents that failed in the first.
"""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG(
    "batcher_nightly",
    schedule="0 22 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
) as dag:
    run = BashOperator(
        task_id="run",
        bash_command="cd /srv/batcher && .venv/bin/batcher run -q --log-json "
        "manifests/nightly.toml",
        append_env=True,
        skip_on_exit_code=3,
        execution_timeout=timedelta(hours=12),
    )
    collect = BashOperator(
        task_id="collect",
        bash_command="cd /srv/batcher && .venv/bin/batcher run -q --collect manifests/nightly.toml",
        append_env=True,
        trigger_rule="all_done",
    )
    run >> collect
