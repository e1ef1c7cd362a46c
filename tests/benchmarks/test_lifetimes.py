from collections import Counter

from benchmarks.soak.lifetimes import LIFETIMES, create_tenants

ROUND = 12
"""The number of tenants that together have each kind of lifetime, at each of its points."""


def test_each_round_from_the_fifth_on_has_the_same_mix() -> None:
    tenants = create_tenants(ROUND)

    rounds = [Counter(tenant.next_visit() for tenant in tenants) for _ in range(16)]

    expected = Counter(visit for lifetime in LIFETIMES for visit in lifetime)
    assert rounds[4:] == [expected] * 12


def test_an_archived_tenant_never_returns_and_other_tenants_do() -> None:
    (tenant,) = create_tenants(1)

    lifetimes = [(tenant.key, [tenant.next_visit() for _ in range(4)]) for _ in range(6)]

    keys = [key for key, _ in lifetimes]
    assert [visits[-1] for _, visits in lifetimes] == ["delete", "delete", "archive"] * 2
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 2


def test_each_tenant_has_its_own_key_which_is_the_same_in_each_run() -> None:
    keys = [[tenant.key for tenant in create_tenants(50)] for _ in range(2)]

    assert len(set(keys[0])) == 50
    assert keys[0] == keys[1]
