import pytest

from landlord_test_target.promql import find_unknown_names, read_series

SERIES = read_series(
    """
# TYPE jobs counter
jobs_total{operation="update",outcome="updated"} 1
jobs_total{operation="delete",outcome="deleted"} 0
# TYPE held gauge
held 0
"""
)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('sum by (operation) (rate(jobs_total{outcome="updated"}[5m])) > 0', "{{operation}}"),
        ('jobs_total{operation=~"update|delete",job="w"} unless held', "{{ $labels.outcome }}"),
        ('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}} {{ $value }}"),
    ],
)
def test_names_that_the_series_have_are_known(expression: str, text: str) -> None:
    assert find_unknown_names(expression, text, SERIES) == []


@pytest.mark.parametrize(
    ("expression", "text", "named"),
    [
        ("rate(jobs[5m])", "", "jobs"),
        ('jobs_total{tenant="t"}', "", "jobs_total: tenant ['t']"),
        ('jobs_total{outcome=~"updated|gone"}', "", "jobs_total: outcome ['gone']"),
        ("sum by (tenant) (jobs_total)", "", "tenant"),
        ("held", "{{tenant}}", "tenant"),
        ("sum by (operation) (jobs_total)", "{{ $labels.outcome }}", "outcome"),
    ],
)
def test_names_that_the_series_do_not_have_are_listed(
    expression: str, text: str, named: str
) -> None:
    assert find_unknown_names(expression, text, SERIES) == [named]


def test_an_expression_that_is_no_promql_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid promql"):
        find_unknown_names("sum by", "", SERIES)
