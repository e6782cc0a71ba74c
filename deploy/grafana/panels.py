"""What the Grafana dashboard shows: its rows, their panels, and what each asks Prometheus."""
# ruff: noqa: INP001 - part of a script

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

JOB: Final = 'job=~"$job"'
"""The jobs that are chosen, as a label matcher."""
ON: Final = f'{JOB}, instance=~"$instance"'
"""Those, and the replicas that are chosen."""
_CALLS: Final = f'{ON}, grpc_type="unary", grpc_method=~"Score|ModelInfer"'


@dataclass(frozen=True)
class Query:
    """A line of a panel.

    Args:
        expression: PromQL.
        legend: What it is called, such as ``{{instance}}``.
    """

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A graph over time.

    Args:
        title: Over it.
        description: What to see in it.
        queries: Its lines.
        unit: Grafana's name of the unit.
        kind: ``timeseries``, ``stat`` (the last value, large) or ``heatmap`` (of a histogram's buckets).
        limits: Values at which a line turns yellow, then red.
        stacked: Whether lines add up.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    limits: tuple[float, ...] = ()
    stacked: bool = False


def _rate(metric: str, labels: str = ON) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def _by(labels: str, what: str) -> str:
    return f"sum by ({labels}) ({what})"


def _quantiles(metric: str, labels: str = ON) -> tuple[Query, ...]:
    buckets = _by("le", _rate(f"{metric}_bucket", labels))
    return tuple(Query(f"histogram_quantile({rank / 100:g}, {buckets})", f"p{rank}") for rank in (50, 95, 99))


def _buckets(metric: str, labels: str = ON) -> tuple[Query, ...]:
    return (Query(_by("le", f"increase({metric}_bucket{{{labels}}}[$__rate_interval])"), "{{le}}"),)


def _flag_share(flagged: str) -> str:
    return f"sum({_rate('isthmus_verdicts_total', f'{ON}, {flagged}')}) / sum({_rate('isthmus_verdicts_total')})"


_BURN: Final = (1, 6, 14.4)

ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Traffic": (
        Panel(
            "Replicas that answer",
            "Ready, and scraped.",
            (Query(f"sum(isthmus_ready{{{ON}}})", "ready"), Query(f"count(up{{{ON}}})", "known")),
            kind="stat",
        ),
        Panel(
            "Calls by status",
            "Without probes and reflection.",
            (
                Query(
                    _by("grpc_code", _rate("grpc_server_handled_total", f'{ON}, grpc_service!~"grpc.*"')),
                    "{{grpc_code}}",
                ),
            ),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            "Images",
            "Scored, answered by the classifier alone, and refused, by reason.",
            (
                Query(f"sum({_rate('isthmus_images_total')})", "scored"),
                Query(f"sum({_rate('isthmus_classified_images_total')})", "classified alone"),
                Query(_by("reason", _rate("isthmus_rejected_images_total")), "refused: {{reason}}"),
            ),
            unit="ops",
        ),
        Panel(
            "Failures against what is allowed",
            "1 just keeps the promise; 14.4 over an hour, or 6 over six, pages somebody.",
            (
                Query(f'job:isthmus_burn:ratio1h{{{JOB}, sli!="latency"}}', "{{job}} {{sli}}, 1 h"),
                Query(f'job:isthmus_burn:ratio6h{{{JOB}, sli!="latency"}}', "{{job}} {{sli}}, 6 h"),
            ),
            limits=_BURN,
        ),
    ),
    "Latency": (
        Panel(
            "Time of calls that score",
            "Unary calls: decoding, waiting and computing.",
            (
                *_quantiles("grpc_server_handling_seconds", _CALLS),
                Query(f"max(isthmus_latency_objective_seconds{{{ON}}})", "objective"),
            ),
            unit="s",
        ),
        Panel(
            "Where calls lie",
            "The same as a heat map: two bands are two kinds of callers, often small requests and large ones.",
            _buckets("grpc_server_handling_seconds", _CALLS),
            unit="s",
            kind="heatmap",
        ),
        Panel(
            "Slow calls against what is allowed",
            "1 just keeps the promise; 14.4 over an hour, or 6 over six, pages somebody.",
            (
                Query(f'job:isthmus_burn:ratio1h{{{JOB}, sli="latency"}}', "{{job}}, 1 h"),
                Query(f'job:isthmus_burn:ratio6h{{{JOB}, sli="latency"}}', "{{job}}, 6 h"),
            ),
            limits=_BURN,
        ),
    ),
    "Verdicts and the flag rate against its promise": (
        Panel(
            "Verdicts",
            "Images per second, by verdict.",
            (Query(_by("verdict", _rate("isthmus_verdicts_total")), "{{verdict}}"),),
            unit="ops",
            stacked=True,
        ),
        Panel(
            "Flag rate",
            "On benign traffic each rate stays about its promise.",
            (
                Query(_flag_share('verdict!="BENIGN"'), "at least SUSPECT"),
                Query(_flag_share('verdict="ADVERSARIAL"'), "ADVERSARIAL"),
                Query(f"max by (verdict) (isthmus_target_rate{{{ON}}})", "promised: {{verdict}}"),
            ),
            unit="percentunit",
        ),
        Panel(
            "Flags against what is promised",
            "1 is benign traffic; 5 over an hour pages somebody, 2 over six hours or 1.5 over three days is a ticket.",
            tuple(
                Query(f"job:isthmus_flag_burn:ratio{window}{{{JOB}}}", f"{{{{job}}}} {{{{verdict}}}}, {window}")
                for window in ("1h", "6h", "3d")
            ),
            limits=(1.5, 2, 5),
        ),
        Panel(
            "Flagged, by predicted class",
            "An attack often aims at one class.",
            (
                Query(
                    "topk(10, "
                    + _by("predicted_class", _rate("isthmus_verdicts_total", f'{ON}, verdict!="BENIGN"'))
                    + ")",
                    "{{predicted_class}}",
                ),
            ),
            unit="ops",
        ),
    ),
    "Strata of difficulty": (
        Panel(
            "Flag rate by stratum",
            "0 is the easiest. On benign traffic each stays about the promise; a hard stratum alone may be attacks "
            "that barely cross the border, an easy one alone attacks that go deep, or noise.",
            (
                Query(
                    _by("stratum", _rate("isthmus_stratum_verdicts_total", f'{ON}, verdict!="BENIGN"'))
                    + " / "
                    + _by("stratum", _rate("isthmus_stratum_verdicts_total")),
                    "stratum {{stratum}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Images by stratum",
            "Even on traffic like the calibration images; harder traffic has drifted.",
            (Query(_by("stratum", _rate("isthmus_stratum_verdicts_total")), "stratum {{stratum}}"),),
            unit="ops",
            stacked=True,
        ),
    ),
    "p-values and drift": (
        Panel(
            "p-values",
            "Even over all steps on benign traffic; attacks crowd at the bottom, training images at the top.",
            _buckets("isthmus_p_value"),
            kind="heatmap",
        ),
        Panel(
            "Drift of p-values",
            "Kolmogorov-Smirnov: 1.63 is passed in one benign window of a hundred, 1.95 in one of a thousand.",
            (Query(f"isthmus_p_value_drift{{{ON}}}", "{{instance}}"),),
            limits=(1.63, 1.95),
        ),
        Panel(
            "p-values in the window",
            "The drift says nothing until there are 100.",
            (Query(f"isthmus_p_value_drift_images{{{ON}}}", "{{instance}}"),),
        ),
        Panel("Scores", "Nats; comparable within one bundle only.", _quantiles("isthmus_score")),
    ),
    "Queue and engine": (
        Panel(
            "Images in the service",
            "From admission to answer; requests are refused where it would pass the limit.",
            (
                Query(f"isthmus_queue_images{{{ON}}}", "{{instance}}"),
                Query(f"min(isthmus_queue_limit_images{{{ON}}})", "limit"),
            ),
        ),
        Panel(
            "Wait for the engine", "Rises before anything is refused.", _quantiles("isthmus_queue_seconds"), unit="s"
        ),
        Panel(
            "How busy the engine is",
            "At 1 it never rests.",
            (Query(_rate("isthmus_engine_seconds_sum"), "{{instance}}"),),
            unit="percentunit",
            limits=(0.7, 0.9),
        ),
        Panel(
            "Images in a batch, mean",
            "Grows with the load.",
            (
                Query(
                    f"{_by('instance', _rate('isthmus_batch_images_sum'))}"
                    f" / {_by('instance', _rate('isthmus_batch_images_count'))}",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Classifier forwards",
            "Per second: what the guard costs.",
            (Query(_by("instance", _rate("isthmus_classifier_forwards_total")), "{{instance}}"),),
            unit="ops",
        ),
    ),
    "Bundle and canaries": (
        Panel(
            "What is loaded",
            "Replicas per bundle and version; one line, but for a rollout.",
            (
                Query(
                    f"count by (bundle_digest, version, scorer) (isthmus_detector_info{{{ON}}})",
                    "{{bundle_digest}}, {{scorer}}, Isthmus {{version}}",
                ),
            ),
        ),
        Panel(
            "Age of the bundle",
            "Since it was written.",
            (Query(f"time() - isthmus_bundle_written_timestamp_seconds{{{ON}}}", "{{instance}}"),),
            unit="s",
            kind="stat",
            limits=(60 * 86400, 90 * 86400),
        ),
        Panel(
            "Since it was loaded",
            "A step down is a reload or a restart.",
            (Query(f"time() - isthmus_bundle_loaded_timestamp_seconds{{{ON}}}", "{{instance}}"),),
            unit="s",
        ),
        Panel(
            "Canary checks",
            "Whether the classifier still gives the answers that its bundle holds; any failure is one too many.",
            (
                Query(
                    _by("instance, outcome", f"increase(isthmus_canary_checks_total{{{ON}}}[$__rate_interval])"),
                    "{{instance}}: {{outcome}}",
                ),
            ),
        ),
        Panel(
            "Canary deviation",
            "How far the newest answers are from the stored ones, of what is allowed: rounding is a few hundredths.",
            (Query(f"isthmus_canary_deviation_ratio{{{ON}}}", "{{instance}}"),),
            limits=(0.5, 1),
        ),
        Panel(
            "Reloads",
            "Bundles loaded, or refused, while serving.",
            (
                Query(
                    _by("instance, outcome", f"increase(isthmus_reloads_total{{{ON}}}[$__rate_interval])"),
                    "{{instance}}: {{outcome}}",
                ),
            ),
        ),
    ),
    "The classifier elsewhere": (
        Panel(
            "Calls upstream",
            "Empty unless the guarded classifier runs elsewhere.",
            (
                Query(_by("outcome", _rate("isthmus_upstream_calls_total")), "{{outcome}}"),
                Query(f"sum({_rate('isthmus_upstream_retries_total')})", "repeated"),
            ),
            unit="reqps",
        ),
        Panel("Time of calls upstream", "Whatever their outcome.", _quantiles("isthmus_upstream_seconds"), unit="s"),
        Panel(
            "Circuit breaker",
            "0 closed, 1 half-open, 2 open.",
            (Query(f"isthmus_upstream_breaker_state{{{ON}}}", "{{instance}}"),),
            limits=(1, 2),
        ),
    ),
    "Audit": (
        Panel(
            "Audit entries",
            "One for each flagged image, where an audit log is set.",
            (Query(_by("instance", _rate("isthmus_audit_entries_total")), "{{instance}}"),),
            unit="ops",
        ),
        Panel(
            "Lost",
            "Entries or quarantined images that could not be written; any is too many.",
            (
                Query(
                    _by("instance, reason", f"increase(isthmus_audit_lost_total{{{ON}}}[$__rate_interval])"),
                    "{{instance}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Withheld",
            "Predictions that callers did not get, by the setting `policy`.",
            (Query(_by("instance", _rate("isthmus_withheld_images_total")), "{{instance}}"),),
            unit="ops",
        ),
    ),
    "Process": (
        Panel("CPU", "Cores.", (Query(_rate("process_cpu_seconds_total"), "{{instance}}"),)),
        Panel("Memory", "Resident.", (Query(f"process_resident_memory_bytes{{{ON}}}", "{{instance}}"),), unit="bytes"),
        Panel("Open files", "Connections included.", (Query(f"process_open_fds{{{ON}}}", "{{instance}}"),)),
    ),
}
