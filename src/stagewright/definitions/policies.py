"""Policies of a document: durations and retries, of a stage or of `defaults`, with their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stagewright.definitions.durations import parse_duration, show_duration
from stagewright.definitions.words import pointer, shown
from stagewright.model.errors import Problem
from stagewright.model.pipeline import QUEUE_TIMEOUT_US, SILENCE_TIMEOUT_US, STAGE_TIMEOUT_US
from stagewright.model.policy import PRIORITIES, RetryPolicy


@dataclass(frozen=True, slots=True)
class Policies:
    """How often and how long, of one stage or as the default of all."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_us: int = STAGE_TIMEOUT_US
    queue_timeout_us: int = QUEUE_TIMEOUT_US
    silence_timeout_us: int = SILENCE_TIMEOUT_US
    priority: str | None = None


POLICY_FIELDS = ("retry", "timeout", "queue_timeout", "silence_timeout", "priority")


def read_policies(source: Mapping[str, Any], base: str, outer: Policies, problems: list[Problem]) -> Policies:
    """Read the policies of a stage over those of the defaults; a retry policy is merged field by field.

    What has not the shape of the schema is passed over here, because the schema has reported it.
    """
    if not any(name in source for name in POLICY_FIELDS):
        return outer
    priority = source.get("priority", outer.priority)
    return Policies(
        retry=_retry(source.get("retry"), pointer(base, "retry"), outer.retry, problems),
        timeout_us=read_duration(source, "timeout", base, outer.timeout_us, problems),
        queue_timeout_us=read_duration(source, "queue_timeout", base, outer.queue_timeout_us, problems),
        silence_timeout_us=read_duration(source, "silence_timeout", base, outer.silence_timeout_us, problems),
        priority=priority if priority in PRIORITIES else outer.priority,
    )


def read_duration(
    source: Mapping[str, Any], field: str, base: str, default_us: int, problems: list[Problem], *, least_us: int = 1
) -> int:
    """Return a duration field in microseconds, or the default where it is absent or wrong."""
    if field not in source:
        return default_us
    value = source[field]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return default_us
    try:
        duration_us = parse_duration(value)
    except ValueError as error:
        reason = str(error)
    else:
        if duration_us >= least_us:
            return duration_us
        reason = "it must be longer than nothing"
    detail = f"This is no duration: {shown(value)}, because {reason}. Write for example 30s, 5m, 1h30m or 90."
    problems.append(Problem(detail, pointer(base, field)))
    return default_us


def _retry(value: Any, base: str, outer: RetryPolicy, problems: list[Problem]) -> RetryPolicy:
    if not isinstance(value, Mapping):
        return outer
    attempts, factor, jitter = value.get("max_attempts"), value.get("factor"), value.get("jitter")
    initial_us = read_duration(value, "initial", base, outer.initial_us, problems, least_us=0)
    max_us = read_duration(value, "max", base, max(outer.max_us, initial_us), problems, least_us=0)
    if max_us < initial_us:
        field = "max" if "max" in value else "initial"
        detail = (
            f"The longest wait (max, {show_duration(max_us)}) is shorter than the first "
            f"(initial, {show_duration(initial_us)}); raise max or lower initial."
        )
        problems.append(Problem(detail, pointer(base, field)))
        max_us = initial_us
    policy = replace(outer, initial_us=initial_us, max_us=max_us)
    if isinstance(attempts, int | float) and not isinstance(attempts, bool) and attempts >= 1:
        policy = replace(policy, max_attempts=int(attempts))
    if isinstance(factor, int | float) and not isinstance(factor, bool):
        policy = replace(policy, factor=float(factor))
    return replace(policy, jitter=jitter) if jitter in ("full", "none") else policy
