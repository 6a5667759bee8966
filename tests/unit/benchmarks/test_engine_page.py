import pytest
from benchmarks.engine_page import close, page
from benchmarks.networks import Model

MODEL = Model("small", (4, 16, 3), rounds=2, proofs=1)
FACTS = {
    "prove": 1.0, "verify": 0.5, "compile": 9.0, "memory": 4e8, "compile_memory": 5e8, "key": 1e6, "proof": 3072,
    "log_rows": 10, "agreement": 1.0, "error_p99": 0.01, "rows": 1000, "child": 1e8,
}  # fmt: skip
TOLD = {"predicted": {"seconds": 1.2, "memory": 2e8}}


def shown(model=MODEL, **faithful):
    found = {"plain": FACTS | {"prove": 3.0}, "faithful": FACTS | TOLD | faithful, "zkinfer": FACTS | TOLD}
    return page([(model, found)], "Abacus 9000, 3 cores")


def row_of(text, title):
    [line] = [line for line in text.splitlines() if line.startswith(f"| {title} ")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_page_names_the_machine():
    assert "Measured on Abacus 9000, 3 cores." in shown()


@pytest.mark.parametrize(
    ("rounds", "proofs", "sentence"),
    [
        (3, 3, "Medians of 3 alternating rounds of 3 proofs each."),
        (2, 1, "Medians of 2 alternating rounds of 1 proof each."),
        (1, 1, "One round of 1 proof each."),
    ],
)
def test_table_states_the_number_of_runs(rounds, proofs, sentence):
    kinds = ("plain", "zkinfer")
    assert sentence in shown(Model("small", (4, 16, 3), rounds=rounds, proofs=proofs, kinds=kinds))


def test_table_states_that_short_proofs_are_repeated():
    assert "One round of 3 proofs each, 7 of Ashlar." in shown(Model("small", (4, 16, 3), rounds=1))


def test_plain_engine_is_compared_with_both_budgets():
    assert row_of(shown(prove=1.5), "prove, s") == ["3", "1.5", "1", "2.00", "3.00"]


def test_rows_without_a_preferred_direction_are_not_compared():
    assert row_of(shown(), "log2 of rows")[-2:] == ["", ""]


def test_memory_is_listed_for_compile_and_proof():
    text = shown()
    assert row_of(text, "peak memory of a proof, MB")[0] == "400"
    assert row_of(text, "peak memory of compile, MB")[0] == "500"


def test_predictions_are_listed_with_their_ratio_to_the_measurement():
    assert row_of(shown(prove=2.0), "small, zkinfer, faithful") == [
        *("1,000", "10", "1.20", "2.00", "0.60"),
        *("200 MB", "100 MB", "2.00"),
    ]


def test_page_counts_the_predictions_that_are_close():
    assert "Within 30%: 1 of 2 times, 0 of 2 peaks." in shown(prove=2.0)


@pytest.mark.parametrize(("ratio", "count"), [(0.69, 0), (0.71, 1), (1.0, 1), (1.29, 1), (1.31, 0)])
def test_prediction_is_close_within_thirty_percent(ratio, count):
    assert close([ratio]) == count


def test_broken_promises_are_listed():
    assert "- small: zkinfer, faithful proves 0.75 times as fast (promised: 0.91) as plain" in shown(prove=4.0)


def test_kept_promises_are_stated():
    assert "models that both proved: 1." in shown()


def test_page_without_a_rival_states_that_nothing_was_tested():
    text = page([(Model("alone", (4, 16, 3), kinds=("zkinfer",)), {"zkinfer": FACTS | TOLD})], "Abacus 9000")
    assert "None was tested" in text
    assert "kept" not in text


def test_model_under_ashlar_alone_has_a_table_with_both_verifiers():
    facts = FACTS | TOLD | {"verify_rust": 0.002, "verify_python": 0.9, "predicted": {"seconds": 1.0, "memory": 1e8}}
    text = page([(Model("alone", kinds=("ashlar",)), {"ashlar": facts})], "Abacus 9000")
    assert row_of(text, "verify in Rust alone, s") == ["0.002"]
    assert row_of(text, "verify in Python alone, s") == ["0.9"]
    assert "All are kept" in text


def test_figure_that_no_contestant_has_gets_no_row():
    assert "verify in Rust alone" not in shown()
