"""Handlers of the kinds py.*, one for each way in which a job can go:

    pools:
      - { kinds: ["py."], argv: [python3, examples/pools/python/handlers.py] }
"""
import time

import muster


def hello(job):
    print("greeting", job.payload["name"])  # into the worker's log
    return {"hello": job.payload["name"], "attempt": job.attempt}


def fail(job):
    raise ValueError("this never works")


def refuse(job):
    raise muster.Dead("no such customer")


def busy(job):
    raise muster.Throttled("429 from the API", retry_after=30)


def count(job):
    """Counts up to payload["to"].  A first attempt may stop at "fail_at": the
    next one goes on where the cursor stands."""
    to, fail_at = job.payload["to"], job.payload.get("fail_at")
    start = job.cursor or 0
    for n in range(start + 1, to + 1):
        time.sleep(job.payload.get("pause_ms", 0) / 1000)
        job.progress(n / to, cursor=n)
        if n == fail_at:
            raise RuntimeError("stopped at %d" % n)
    return {"from": start, "to": to}


muster.serve({"py.hello": hello, "py.fail": fail, "py.refuse": refuse,
              "py.busy": busy, "py.count": count})
