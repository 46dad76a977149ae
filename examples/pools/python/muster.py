"""The program's side of a muster pool: JSON lines on standard input and output.

    import muster

    def greet(job):
        return {"hello": job.payload["name"]}

    muster.serve({"py.greet": greet})

What a handler returns is the job's result.  An exception fails the job, which
runs again as its queue says; Dead ends it for good, Throttled says that the
other side is busy.  A cancel raises Cancelled inside of the handler, so that
`finally` blocks run.  print() goes to standard error, and so into the worker's
log.  Python 3.7 or newer, no packages.
"""
import json
import os
import signal
import sys
import traceback


class Dead(Exception):
    """No further attempt can help."""


class Throttled(Exception):
    """Not now.  retry_after: seconds, if the other side named any."""

    def __init__(self, message="", retry_after=None):
        super().__init__(message)
        self.retry_after = retry_after


class Cancelled(BaseException):
    """The job was cancelled, or took too long: clean up and leave."""


class Job:
    """id, queue, kind, payload, attempt, fence, and the cursor at which an
    earlier attempt stopped (None: there was none)."""

    def __init__(self, line, say):
        vars(self).update(line)
        self._say = say

    def progress(self, part=None, cursor=None):
        """part: 0 to 1.  cursor: anything JSON, where the next attempt is to
        begin; call it when what lies before is safely done."""
        self._say({"id": self.id, "progress": part, "cursor": cursor})


def _cancel(signum, frame):
    raise Cancelled()


def _run(handlers, job):
    try:
        handler = handlers.get(job.kind)
        if handler is None:
            raise Dead("no handler for " + job.kind)
        return {"status": "ok", "result": handler(job)}
    except Dead as why:
        return {"status": "dead", "message": str(why)}
    except Throttled as why:
        return {"status": "throttled", "message": str(why),
                "retry_after_s": why.retry_after}
    except Exception as why:
        traceback.print_exc()
        return {"status": "error",
                "message": "%s: %s" % (type(why).__name__, why)}


def serve(handlers):
    """Runs jobs until the worker closes our standard input."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # print() must not get between the lines

    def say(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    signal.signal(signal.SIGTERM, _cancel)
    try:
        for line in sys.stdin.buffer:
            job = Job(json.loads(line), say)
            say(dict(_run(handlers, job), id=job.id))
    except Cancelled:
        sys.exit(143)
