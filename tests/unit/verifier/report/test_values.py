import numpy as np
import pytest

from zkinfer.verifier.report.values import Bars, Picture, Table, bars, shown

DIGIT = np.linspace(0, 1, 64).reshape(1, 64)


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [
        ("image", (1, 64), (8, 8)),
        ("x", (1, 1, 28, 28), (28, 28)),
        ("x", (1, 3, 8, 10), (8, 10)),
        ("pixels", (28, 28), (28, 28)),
        ("input_image", (8, 10, 3), (8, 10)),
        ("x", (2, 3, 400, 300), None),
        ("image", (1, 3, 400, 300), (80, 60)),
        ("image", (1, 63), None),
        ("image", (1, 4), None),
        ("x", (1, 64), None),
        ("tokens", (8, 16), None),
        ("image", (1, 2, 8, 8), None),
    ],
)
def test_picture_is_told_by_name_and_shape(name, shape, size):
    view = shown(name, np.zeros(shape, dtype=np.float32), "input").view
    assert isinstance(view, Picture) == (size is not None)
    if size is not None:
        assert (len(view.pixels), len(view.pixels[0])) == size


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (DIGIT, "black is 0, white is 1"),
        (255 * DIGIT, "black is 0, white is 255"),
        (2 * DIGIT - 1, "black is -1, white is 1"),
        (1000 * DIGIT - 7, "black is -7, white is 993"),
    ],
)
def test_levels_of_a_picture_are_those_of_its_values(values, note):
    view = shown("image", values, "input").view
    assert view.note == f"8 by 8 pixels, {note}"
    assert (view.pixels[0][0], view.pixels[-1][-1]) == ((0, 0, 0), (255, 255, 255))


def test_channels_of_a_picture_are_red_green_and_blue():
    image = np.zeros((1, 3, 8, 8))
    image[0, 1] = 1
    assert shown("x", image, "input").view.pixels[0][0] == (0, 255, 0)


def test_constant_picture_is_drawn():
    assert shown("image", np.full((8, 8), 300.0), "input").view.pixels[0][0] == (0, 0, 0)


def test_large_picture_is_thinned_and_says_so():
    view = shown("image", np.zeros((500, 500)), "input").view
    assert len(view.pixels) <= 96
    assert "one pixel of 6 in each direction" in view.note


def test_output_that_sums_to_one_is_probabilities():
    view = shown("y", np.array([[0.25, 0.7, 0.049]]), "output").view
    assert (view.kind, [bar.text for bar in view.rows]) == ("probability", ["25.0%", "70.0%", "4.9%"])
    assert view.note == "The largest probability is that of element 1, counted from 0."


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("probabilities", [[0.9, 0.8]], "probability"),
        ("y", [[0.9, 0.8]], "score"),
        ("probabilities", [[1.5, -0.5]], "score"),
        ("y", [[-3.0, 4.0]], "score"),
        ("y", [3, 4], "score"),
    ],
)
def test_bars_are_scores_unless_they_can_be_probabilities(name, values, kind):
    assert shown(name, np.array(values), "output").view.kind == kind


def test_equal_scores_have_no_largest():
    view = shown("y", np.array([2.0, 2.0]), "output").view
    assert (view.note, [bar.largest for bar in view.rows]) == ("", [False, False])


def test_bars_begin_at_zero():
    view = bars("e", "k", ["a", "b"], [-1.0, 3.0], ["", ""])
    assert [(bar.start, bar.length) for bar in view.rows] == [(0.0, 0.25), (0.25, 0.75)]


def test_bars_of_zeros_have_no_length():
    assert [bar.length for bar in bars("e", "k", ["a", "b"], [0.0, 0.0], ["", ""]).rows] == [0.0, 0.0]


@pytest.mark.parametrize("values", [np.array(5.0), np.zeros((1, 1)), np.array([[True, False]]), np.zeros((2, 2))])
def test_other_outputs_are_tables(values):
    assert isinstance(shown("y", values, "output").view, Table)


def test_single_row_is_a_column_with_the_names_of_its_features():
    view = shown("x", np.array([[1.5, 2]]), "input", ("age", "height")).view
    assert view == Table(("element", "value"), (("age", "1.5"), ("height", "2")))


def test_features_that_do_not_fit_are_not_used():
    assert shown("x", np.array([[1, 2]]), "input", ("age",)).view.rows[0] == ("0", "1")


def test_table_of_more_axes_names_the_place_of_each_row():
    view = shown("x", np.arange(12).reshape(2, 3, 2), "input").view
    assert (view.columns, view.rows[4]) == (("row", "0", "1"), ("1, 1", "8", "9"))


@pytest.mark.parametrize("shape", [(1, 100), (100, 2), (2, 100)])
def test_long_table_is_cut_and_says_so(shape):
    view = shown("x", np.zeros(shape), "input").view
    assert "the report as JSON has all of them" in view.note
    assert len(view.rows) <= 40


def test_tensor_keeps_all_its_values():
    values = np.zeros((100, 2))
    assert shown("x", values, "input").values is values
    assert isinstance(shown("y", np.zeros((1, 40)), "output").view, Bars)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([-10.48, 1.019622802, 14.517364], ["-10.4800", "1.0196", "14.5174"]),
        ([0.0, 0.0], ["0", "0"]),
        ([1e-9, 2e-9], ["1e-09", "2e-09"]),
        ([3e8, 0.5], ["3e+08", "0.5"]),
    ],
)
def test_fractions_of_a_usual_size_have_the_same_number_of_decimals(values, texts):
    assert [bar.text for bar in shown("y", np.array([values]), "output").view.rows] == texts


def test_integers_stay_integers():
    assert [bar.text for bar in shown("y", np.array([[3, 40]]), "output").view.rows] == ["3", "40"]
