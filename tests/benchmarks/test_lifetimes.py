from collections import Counter

from benchmarks.soak.lifetimes import LIFETIMES, create_tenants

ROUND = 12
"""The number of tenants that cover the three lifetimes, each begun at each of its four operations."""


def test_each_round_from_the_fifth_on_has_the_same_mix() -> None:
    tenants = create_tenants(ROUND)

    rounds = [Counter(tenant.next_operation() for tenant in tenants) for _ in range(16)]

    expected = Counter(operation for lifetime in LIFETIMES for operation in lifetime)
    assert rounds[4:] == [expected] * 12


def test_an_archived_tenant_gets_a_successor_and_a_deleted_one_returns() -> None:
    (tenant,) = create_tenants(1)

    lifetimes = [(tenant.key, [tenant.next_operation() for _ in range(4)]) for _ in range(6)]

    keys = [key for key, _ in lifetimes]
    assert [operations[-1] for _, operations in lifetimes] == ["delete", "delete", "archive"] * 2
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 2


def test_each_tenant_has_its_own_key_which_is_the_same_in_each_run() -> None:
    keys = [[tenant.key for tenant in create_tenants(50)] for _ in range(2)]

    assert len(set(keys[0])) == 50
    assert keys[0] == keys[1]
