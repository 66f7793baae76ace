"""The queue of long work: settlement, funding, payouts, delisting, closing, reports of balances.

A command starts a job and is answered at once; the job then runs in slices behind the commands
that follow, the oldest first, until it is done (core.engine.jobs). What a job is in the middle of
is part of the state, so a replay slices it the same way.
"""

from core.jit import jit
from core.records import JOBS_MAX

JOB_SETTLEMENT = 1
JOB_FUNDING = 2
JOB_RESOLUTION = 3
JOB_DELIST = 4
JOB_CLOSE = 5
JOB_REPORT = 6
JOB_KILL = 7


@jit
def queue_full(s):
    """Whether no job can be started now."""
    return s.jobs >= JOBS_MAX


@jit
def start_job(s, kind, subject, cursor):
    """Queue a job; its index. The queue must not be full."""
    number = s.jobs
    s.jobs += 1
    job = s.job[number]
    job.kind = kind
    job.phase = 0
    job.subject = subject
    job.place = 0
    job.cursor = cursor
    job.reason = 0
    job.cycle = 0
    job.count = 0
    job.key = 0
    return number


@jit
def job_pending(s, kind, subject):
    """Whether a job of the kind about the subject waits or runs."""
    for number in range(s.jobs):
        if s.job[number].kind == kind and s.job[number].subject == subject:
            return True
    return False
