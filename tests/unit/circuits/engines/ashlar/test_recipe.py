import pytest

from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.errors import EngineError

GOOD = {
    "semantics": 1,
    "profile": "plain",
    "chunkBits": 15,
    "input": {"scale": 7, "bits": 8, "signed": False},
    "activations": {"relu_1": [5, 8], "relu_2": [4, 9], "prob": [8, 8, 7]},
    "weights": {"conv_1": 9, "conv_2": 10, "fc": 9},
    "saturate": {"relu_2": 3},
    "tiles": {"fc": ["in"]},
}
NAMES = {"clamps": {"relu_1", "relu_2"}, "stored": {"prob"}, "weights": {"conv_1", "conv_2", "fc"}, "tiled": {"fc"}}


def test_published_form_round_trips():
    assert AshlarRecipe.parse(GOOD).to_run_arguments() == GOOD


def test_empty_saturate_and_tiles_are_left_out():
    short = {key: value for key, value in GOOD.items() if key not in ("saturate", "tiles")}
    assert AshlarRecipe.parse(short).to_run_arguments() == short


@pytest.mark.parametrize("key", ["saturate", "tiles"])
def test_empty_saturate_or_tiles_that_is_written_is_refused(key):
    with pytest.raises(EngineError, match="canonical form"):
        AshlarRecipe.parse(GOOD | {key: {}})


@pytest.mark.parametrize("key", ["semantics", "profile", "chunkBits", "input", "activations", "weights"])
def test_missing_key_is_refused(key):
    with pytest.raises(EngineError, match=key):
        AshlarRecipe.parse({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("semantics", 2),
        ("semantics", True),
        ("profile", "Plain"),
        ("chunkBits", 3),
        ("chunkBits", 25),
        ("chunkBits", "15"),
        ("input", {"scale": 7, "bits": 17, "signed": True}),
        ("input", {"scale": [], "bits": 8, "signed": True}),
        ("input", {"scale": 7.0, "bits": 8, "signed": True}),
        ("input", {"scale": 7, "bits": 8, "signed": 1}),
        ("input", {"scale": 7, "bits": 8}),
        ("input", {"scale": 7, "bits": 8, "signed": True, "margin": 2}),
        ("activations", {"relu": [5]}),
        ("activations", {"relu": [5, 16]}),
        ("activations", {"relu": [5, 8, 7, 6]}),
        ("weights", {"fc": 9.5}),
        ("weights", {"": 9}),
        ("saturate", {"relu_2": 0}),
        ("tiles", {"fc": []}),
        ("tiles", {"fc": ["group"]}),
        ("tiles", {"fc": "in"}),
        ("chunk_bits", 15),
        ("note", ""),
    ],
)
def test_value_out_of_bounds_is_refused(key, value):
    with pytest.raises(EngineError, match=r"[Rr]un argument"):
        AshlarRecipe.parse(GOOD | {key: value})


@pytest.mark.parametrize("axes", [["out", "in"], ["in", "in"]])
def test_tiles_written_in_another_order_are_refused(axes):
    with pytest.raises(EngineError, match="'in' first"):
        AshlarRecipe.parse(GOOD | {"tiles": {"fc": axes}})


def test_unsigned_input_of_16_bits_is_refused_and_signed_accepted():
    AshlarRecipe.parse(GOOD | {"input": {"scale": 7, "bits": 16, "signed": True}})
    with pytest.raises(EngineError, match="15 bits"):
        AshlarRecipe.parse(GOOD | {"input": {"scale": 7, "bits": 16, "signed": False}})


def test_hiding_profile_is_refused_with_its_cure():
    with pytest.raises(EngineError, match=r"not available.*plain"):
        AshlarRecipe.parse(GOOD | {"profile": "hiding"})


def test_nan_is_refused():
    with pytest.raises(EngineError, match="valid JSON"):
        AshlarRecipe.parse(GOOD | {"weights": {"fc": float("nan")}})


def test_list_of_scales_is_read_as_one_for_each_feature():
    recipe = AshlarRecipe.parse(GOOD | {"input": {"scale": [3, -2], "bits": 12, "signed": True}})
    assert recipe.input.scales == (3, -2)
    assert AshlarRecipe.parse(GOOD).input.scales == (7,)


def test_names_of_the_network_are_accepted():
    AshlarRecipe.parse(GOOD).require_names(**NAMES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clamps": {"relu_1", "relu_2", "relu_3"}}, "activations has no entry for 'relu_3'"),
        ({"clamps": {"relu_2"}}, "activations.'relu_1' is used by no node"),
        ({"weights": {"conv_1", "conv_2"}}, "weights.'fc' is used by no node"),
        ({"weights": {"conv_1", "conv_2", "fc", "fc_2"}}, "weights has no entry for 'fc_2'"),
        ({"clamps": {"relu_1"}, "stored": {"prob", "relu_2"}}, "saturate.'relu_2' is used by no node"),
        ({"tiled": set()}, "tiles.'fc' is used by no node"),
        ({"clamps": {"relu_1", "relu_2", "prob"}, "stored": set()}, r"'prob' must have the form \[a, b\]"),
    ],
)
def test_names_that_differ_from_the_network_are_refused(changes, message):
    with pytest.raises(EngineError, match=message):
        AshlarRecipe.parse(GOOD).require_names(**(NAMES | changes))


def test_clamp_entry_for_a_stored_table_is_refused():
    recipe = AshlarRecipe.parse({**GOOD, "activations": GOOD["activations"] | {"prob": [8, 8]}})
    with pytest.raises(EngineError, match=r"\[a, b, aq\]"):
        recipe.require_names(**NAMES)
