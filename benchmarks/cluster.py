"""The engine's way with many workers, simulated: Dask's own scheduler, workers and client, tasks that sleep.

As in `privacy_report.training.engine`, a model's next interval is submitted when the one before it has come
back, so that as many tasks run as there are models. Workers are objects in this one process, each with a
thread and a connection of its own (inproc), so that one machine holds a thousand; no network is measured.
Durations are lognormal. Some tasks raise and are tried again by Dask; some workers vanish in the middle, and
what they were at is lost. Prints JSON, and writes it to benchmarks/cluster.json: the CPU time of the whole
process per task, and the share of slept seconds that came to nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import threading
import time
from pathlib import Path

import dask
import numpy as np
from distributed import Client, LocalCluster, as_completed

RETRIES = 2
SPREAD = 0.5

QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.client.scheduler-info-interval": "60s",
    "distributed.deploy.cluster-repr-interval": "60s",
}
"""What is done many times a second for every worker, next to its tasks: a thousand share one process here."""

_slept: list[tuple[int, int, float]] = []
_lock = threading.Lock()


def interval(model: int, number: int, seconds: float, fails: float) -> int:
    """Sleeps; raises with probability `fails`. Notes what it slept."""
    time.sleep(seconds)
    with _lock:
        _slept.append((model, number, seconds))
    if random.random() < fails:
        raise RuntimeError("planted")
    return model


def simulate(
    workers: int, models: int, intervals: int, mean: float, fails: float, lost: int
) -> dict[str, float]:
    """All intervals of all models; `lost` workers are closed one after the other meanwhile."""
    from benchmarks import cluster as tasks  # by its name, so that tasks find it and what they slept

    rng = np.random.default_rng(0)
    durations = rng.lognormal(np.log(mean) - SPREAD**2 / 2, SPREAD, (models, intervals))
    started = time.monotonic()
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            memory_limit=None,  # each worker would read the process's memory ten times a second
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(workers)
        ready, cpu = time.monotonic(), time.process_time()

        def submit(model: int, number: int):
            task = (model, number, float(durations[model, number]), fails)
            return client.submit(tasks.interval, *task, key=f"interval-{model}-{number}", retries=RETRIES)

        at = dict.fromkeys(range(models), 0)
        running = as_completed([submit(model, 0) for model in at])
        total, every = models * intervals, models * intervals // (lost + 1)
        victims = list(cluster.workers.values())[:lost]
        for done, future in enumerate(running, start=1):
            model = future.result()
            at[model] += 1
            if at[model] < intervals:
                running.add(submit(model, at[model]))
            if victims and done % every == 0:
                cluster.loop.add_callback(victims.pop().close, executor_wait=False)
        wall, used = time.monotonic() - ready, time.process_time() - cpu
    useful, slept = float(durations.sum()), sum(seconds for *_, seconds in tasks._slept)
    return {
        "workers": workers,
        "tasks": total,
        "start_seconds": ready - started,
        "wall_seconds": wall,
        "ideal_seconds": max(float(durations.sum(axis=1).max()), useful / workers),
        "cpu_ms_a_task": 1000 * used / total,
        "runs_a_task": len(tasks._slept) / total,
        "lost_share": 1 - useful / slept,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--intervals", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=8.0, help="mean of an interval")
    parser.add_argument("--fails", type=float, default=0.01, help="share of tasks that raise")
    parser.add_argument("--lost", type=int, default=20, help="workers that vanish")
    args = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # failures are planted
    dask.config.set(QUIET)
    results = simulate(args.workers, args.models, args.intervals, args.seconds, args.fails, args.lost)
    text = json.dumps(results, indent=2)
    Path(__file__).with_suffix(".json").write_text(f"{text}\n")
    print(text)


if __name__ == "__main__":
    main()
