"""The night as an Airflow DAG: one task for the run, one in the morning for what is still out.

Exit code 3 (a limit was reached) counts as skipped: the next night goes on with the rest.
"""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG(
    "batcher_nightly",
    schedule="0 22 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
) as dag:
    run = BashOperator(
        task_id="run",
        bash_command="cd /srv/batcher && .venv/bin/batcher run -q --log-json manifests/nightly.toml",
        skip_on_exit_code=3,
        retries=3,
        retry_delay=timedelta(minutes=10),
    )
    collect = BashOperator(
        task_id="collect",
        bash_command="cd /srv/batcher && .venv/bin/batcher run -q --collect manifests/nightly.toml",
        trigger_rule="all_done",
    )
    run >> collect
