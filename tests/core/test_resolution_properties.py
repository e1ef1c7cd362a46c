import pytest
from hypothesis import given

from landlord_engines_core.models import merge
from landlord_test_target.strategies import configs

pytestmark = pytest.mark.unmeasured


@given(configs)
def test_merging_with_an_empty_layer_changes_nothing(config: dict[str, object]) -> None:
    assert merge(config, {}) == config
    assert merge({}, config) == config
    assert merge(config, config) == config


@given(configs, configs, configs)
def test_merging_three_layers_is_associative(
    low: dict[str, object], middle: dict[str, object], high: dict[str, object]
) -> None:
    maps_stay_maps = merge(merge(low, middle), high)

    for key, value in high.items():
        if not isinstance(value, dict):
            assert maps_stay_maps[key] == value
    assert set(maps_stay_maps) == {*low, *middle, *high}


@given(configs, configs)
def test_each_key_comes_from_the_upper_layer_that_has_it(
    below: dict[str, object], above: dict[str, object]
) -> None:
    merged = merge(below, above)

    for key, value in merged.items():
        lower, upper = below.get(key), above.get(key)
        if isinstance(lower, dict) and isinstance(upper, dict):
            assert value == merge(lower, upper)
        else:
            assert value == (upper if key in above else lower)


@given(configs, configs)
def test_merging_does_not_change_the_layers(
    below: dict[str, object], above: dict[str, object]
) -> None:
    kept = repr((below, above))

    merge(below, above)

    assert repr((below, above)) == kept
