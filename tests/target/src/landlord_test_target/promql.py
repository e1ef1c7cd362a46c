"""Holds the names and labels of PromQL expressions against the series of a worker."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import promql_parser
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["find_unknown_names", "read_series"]

SCRAPE_LABELS = frozenset({"job", "instance"})
"""Labels that Prometheus adds to each series that it scrapes."""

OWN_SERIES: Mapping[str, frozenset[str]] = {"ALERTS": frozenset({"alertname", "alertstate"})}
"""Series that Prometheus makes itself, with their labels."""

EXACT = (promql_parser.MatchOp.Equal, promql_parser.MatchOp.NotEqual)

Series = Mapping[str, Mapping[str, set[str]]]
"""The values of each label of each series."""


def read_series(text: str) -> Series:
    """Read the names, the labels and their values from a text of `/metrics`."""
    series: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = series.setdefault(sample.name, defaultdict(set))
            for label, value in sample.labels.items():
                labels[label].add(value)
    return series


def find_unknown_names(expression: str, text: str, series: Series) -> list[str]:
    """List what an expression or its text names, and the series do not have.

    Args:
        expression: The expression.
        text: A text with labels of its result, as in a legend or an annotation.
        series: The series of a worker.
    """
    unknown = []
    known_labels = set(SCRAPE_LABELS)
    for selector in _list_selectors(expression):
        name = selector.name or "a selector without a name"
        if name in OWN_SERIES:
            known_labels |= OWN_SERIES[name]
        elif name not in series:
            unknown.append(name)
        else:
            known_labels |= series[name].keys()
            unknown += _find_unknown_matches(selector, series[name])
    grouped = _list_grouped_labels(expression)
    in_text = set(re.findall(r"\{\{ *(?:\$labels\.)?(\w+)", text))
    return [*unknown, *(grouped - known_labels), *(in_text - (grouped or known_labels))]


def _list_grouped_labels(expression: str) -> set[str]:
    """List the labels that the result of an aggregation keeps."""
    by = promql_parser.AggModifierType.By
    labels: set[str] = set()
    for node in _list_nodes(expression):
        modifier = node.modifier if isinstance(node, promql_parser.AggregateExpr) else None
        if modifier is not None and modifier.type == by:
            labels.update(modifier.labels)
    return labels


def _find_unknown_matches(
    selector: promql_parser.VectorSelector, labels: Mapping[str, set[str]]
) -> Iterator[str]:
    for matcher in selector.matchers.matchers:
        if matcher.name in SCRAPE_LABELS:
            continue
        values = {matcher.value} if matcher.op in EXACT else set(matcher.value.split("|"))
        if unknown := values - labels.get(matcher.name, set()):
            yield f"{selector.name}: {matcher.name} {sorted(unknown)}"


def _list_selectors(expression: str) -> list[promql_parser.VectorSelector]:
    nodes = _list_nodes(expression)
    return [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]


def _list_nodes(expression: str) -> list[promql_parser.Expr]:
    nodes: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(expression), nodes.append)
    return nodes
