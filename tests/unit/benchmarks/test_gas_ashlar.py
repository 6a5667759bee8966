import pytest
from benchmarks.architectures import ARCHITECTURES
from benchmarks.gas_ashlar import CASES, Row, table

from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.engines.ashlar.tune import chunks

ROWS = [
    Row("small, public inputs", 13, 2720, 512, 308_133, 369_572, {"pairing": 113_000, "rounds": 10_425}),
    Row("deep, hashed inputs", 18, 3456, 3712, 591_964, 655_000, {"pairing": 113_000, "rounds": 15_846}),
]


def test_table_has_a_row_for_each_model_and_a_column_in_the_steps():
    page = table(ROWS)
    assert "| deep, hashed inputs | 2^18 | 3,456 | 3,712 | 591,964 | 655,000 | 128,846 |" in page
    assert "| rounds | 10,425 | 15,846 |" in page


def test_steps_start_with_the_largest():
    page = table(ROWS)
    assert page.index("| pairing |") < page.index("| rounds |")


@pytest.mark.parametrize("case", [case for case in CASES if case.architecture], ids=lambda case: case.architecture)
def test_recipe_of_a_larger_network_is_one_of_the_engine(case):
    assert case.architecture in ARCHITECTURES
    recipe = AshlarRecipe.parse(case.recipe())
    assert recipe.chunk_bits <= chunks.LARGEST


def test_models_of_the_demo_have_no_stored_recipe():
    assert [case.recipe() for case in CASES if not case.architecture] == [None] * 3
