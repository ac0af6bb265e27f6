"""What is counted while the program runs, in Prometheus' words. Knows answers; knows no desk and no store."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engine.jobs import Answer, ComposeResult, Platform, StoryResult

SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Upper bounds of the histogram of stage times: from the embedded models to the large ones."""


class Metrics:
    """Counters of this run, and gauges that are set when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stage_s = Histogram(
            "tunetale_stage_seconds", "Seconds of finished jobs by stage", ["kind", "stage"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._results = Counter("tunetale_results_total", "Finished jobs by kind", ["kind"], registry=self.registry)
        self._errors = Counter("tunetale_errors_total", "Failed jobs by error code", ["code"], registry=self.registry)
        self._depth = Gauge("tunetale_jobs", "Jobs that wait or run", ["state"], registry=self.registry)
        self._votes = Gauge("tunetale_votes", "Votes that are kept", registry=self.registry)
        self._lag = Gauge("tunetale_platform_lag_seconds", "How far a platform is behind", ["platform"],
                          registry=self.registry)  # fmt: skip

    def delivered(self, answer: Answer) -> None:
        """Count an answer that has arrived."""
        if isinstance(answer.result, StoryResult | ComposeResult):
            kind = answer.result.kind
            self._results.labels(kind).inc()
            for stage, seconds in answer.result.elapsed_s.items():
                self._stage_s.labels(kind, stage).observe(seconds)
        elif answer.result is None:
            self._errors.labels(answer.error_code or "error").inc()

    def text(self, depth: tuple[int, int], votes: int, lags: Mapping[Platform, float | None]) -> bytes:
        """Return everything in Prometheus' text format; `depth` is how many jobs wait and how many run."""
        for state, count in zip(("queued", "running"), depth, strict=True):
            self._depth.labels(state).set(count)
        self._votes.set(votes)
        self._lag.clear()
        for name, lag_s in lags.items():
            self._lag.labels(name).set(float("nan") if lag_s is None else lag_s)
        return generate_latest(self.registry)
