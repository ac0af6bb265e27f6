"""The queue against a model in plain dictionaries: whatever happens in whatever order, both agree."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from db.store import Store
from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError
from engine.jobs import Asker, Sentence, TextEmotionRequest, TextEmotionResult
from engine.policy import Policy
from engine.queue import Queue
from tests.fakes.clock import FakeClock

T = TypeVar("T")
POLICY = Policy(per_person=4, per_chat=100, total=9, crash_delay_s=5.0, transient_delay_s=5.0, backoff=1.0)
PEOPLE = st.sampled_from(["anna", "ben", "cleo"])
RESULT = TextEmotionResult({}, (Sentence("x", 0.0, 0.0),))
FAILURES: list[TuneTaleError] = [UserError("no"), Transient("busy"), Crashed("died"), Cancelled()]
LEASE_S = 15.0


@dataclass
class Expected:
    """What the model knows of a job."""

    person: str
    dedupe: str | None
    state: str = "queued"
    attempt: int = 0
    crashes: int = 0
    transients: int = 0
    token: str | None = None
    until: float = 0.0
    run_after: float = 0.0
    answer: str | None = None

    @property
    def live(self) -> bool:
        return self.state in ("queued", "running")


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.home = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.model: dict[int, Expected] = {}
        self.served: dict[str, int] = {}
        self.stale: list[str] = ["made up"]

    def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def start(self) -> None:
        self.store = self.run_async(Store.open(Path(self.home.name) / "store.sqlite"))
        self.begin()

    def begin(self) -> None:
        async def begin() -> Queue:
            return Queue(
                self.store,
                Path(self.home.name) / "files",
                clock=self.clock,
                policy=POLICY,
                lease_s=LEASE_S,
                deadline_s=1e6,
            )

        self.queue = self.run_async(begin())

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run_async(self.store.close())
        self.runner.close()
        self.home.cleanup()

    def having(self, state: str) -> dict[int, Expected]:
        return {job_id: job for job_id, job in self.model.items() if job.state == state}

    # --- what people do

    @rule(person=PEOPLE, dedupe=st.sampled_from([None, None, "k1", "k2"]))
    def submit(self, person: str, dedupe: str | None) -> None:
        waiting = self.having("queued").values()
        same = [i for i, job in self.model.items() if dedupe and job.dedupe == dedupe]
        full = sum(job.person == person for job in waiting) >= POLICY.per_person or len(waiting) >= POLICY.total
        try:
            asker = Asker("console", person, "chat")
            job = self.run_async(self.queue.submit(TextEmotionRequest(("x",)), asker, dedupe=dedupe))
        except UserError:
            assert full and not same
            return
        if same:
            assert [job.id] == same
        else:
            assert not full
            assert job.id not in self.model
            self.model[job.id] = Expected(person, dedupe, run_after=self.clock.now())

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model)))
        job = self.model[job_id]
        assert self.run_async(self.queue.cancel(job_id)) == job.live
        if job.live:
            self.leave(job, "cancelled")

    # --- what workers do

    @rule()
    def claim(self) -> None:
        ready = {i: job for i, job in self.having("queued").items() if job.run_after <= self.clock.now()}
        lease = self.run_async(self.queue.claim())
        if not ready:
            assert lease is None
            return
        heads = {person: min(i for i, job in ready.items() if job.person == person) for person in
                 {job.person for job in ready.values()}}  # fmt: skip
        turn = min(heads, key=lambda person: (self.served.get(person, 0), heads[person]))
        assert lease is not None
        assert lease.job.id == heads[turn]
        self.served[turn] = max(self.served.values(), default=0) + 1
        job = self.model[lease.job.id]
        job.state, job.token, job.until = "running", lease.token, self.clock.now() + LEASE_S
        job.attempt += 1
        assert Path(lease.folder).name == f"{lease.job.id}-{job.attempt}"
        assert Path(lease.folder).is_dir()

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        token, job = self.some_token(data)
        assert self.run_async(self.queue.finish(token, RESULT)) == (job is not None)
        if job is not None:
            self.leave(job, "done", answer="result")

    @rule(data=st.data(), error=st.sampled_from(FAILURES))
    def fail(self, data: st.DataObject, error: TuneTaleError) -> None:
        token, job = self.some_token(data)
        assert self.run_async(self.queue.fail(token, error)) == (job is not None)
        if job is not None:
            self.failed(job, error)

    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        token, job = self.some_token(data)
        assert self.run_async(self.queue.heartbeat([token])) == ({token} if job else frozenset())
        if job is not None:
            job.until = self.clock.now() + LEASE_S

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        token, job = self.some_token(data)
        self.run_async(self.queue.release([token]))
        if job is not None:
            job.attempt -= 1
            self.leave(job, "queued")

    # --- what time and crashes do

    @rule(seconds=st.sampled_from([1.0, 5.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def recover(self) -> None:
        lost = [job for job in self.having("running").values() if job.until < self.clock.now()]
        assert self.run_async(self.queue.recover()) == len(lost)
        for job in lost:
            self.failed(job, Crashed("lost"))

    @rule()
    def restart(self) -> None:
        running = list(self.having("running").values())
        self.begin()
        assert self.run_async(self.queue.recover()) == len(running)
        for job in running:
            again = job.attempt < POLICY.attempts
            job.run_after = self.clock.now()
            self.leave(job, "queued" if again else "dead", answer=None if again else "error")

    @rule(arrives=st.booleans())
    def deliver(self, arrives: bool) -> None:
        answer = self.run_async(self.queue.next_answer("console"))
        if answer is None:
            assert not any(job.answer for job in self.model.values())
            return
        job = self.model[answer.job_id]
        assert job.answer == ("result" if answer.result else "error")
        if arrives:
            self.run_async(self.queue.answered(answer.id, "m"))
            job.answer = None
        else:
            self.run_async(self.queue.answer_failed(answer.id, "later", 0.0))

    # --- the model

    def some_token(self, data: st.DataObject) -> tuple[str, Expected | None]:
        holders = {job.token: job for job in self.having("running").values() if job.token}
        token = data.draw(st.sampled_from([*holders, *self.stale[-3:]]))
        return token, holders.get(token)

    def leave(self, job: Expected, state: str, answer: str | None = None) -> None:
        if job.token is not None:
            self.stale.append(job.token)
        job.state, job.token, job.answer = state, None, answer

    def failed(self, job: Expected, error: TuneTaleError) -> None:
        again = False
        if isinstance(error, Cancelled):
            self.leave(job, "cancelled")
            return
        if isinstance(error, Crashed):
            job.crashes += 1
            again = job.crashes < 2
        elif isinstance(error, Transient):
            job.transients += 1
            again = job.transients < 3
        again = again and job.attempt < POLICY.attempts
        job.run_after = self.clock.now() + 5.0
        self.leave(job, "queued" if again else "dead", answer=None if again else "error")

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "store"):
            return
        sql = "SELECT id, state, attempt, crashes, transients, lease FROM job"
        rows = self.run_async(self.store.read(lambda conn: conn.execute(sql).fetchall()))
        found = {row[0]: row[1:] for row in rows}
        assert found == {
            i: (job.state, job.attempt, job.crashes, job.transients, job.token) for i, job in self.model.items()
        }
        quiet = not any(job.live or job.answer for job in self.model.values())
        assert self.run_async(self.queue.idle()) == quiet


QueueMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestQueueModel = QueueMachine.TestCase
