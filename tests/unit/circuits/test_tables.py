import numpy as np
import pytest

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tables import feature_names, from_csv
from zkinfer.circuits.tensors import TensorSpec


def spec(name, *shape, dtype="float32"):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


AGE, INCOME = spec("age", 1, 1), spec("income", 1, 1)
X, N = spec("x", 1, 3), spec("n", 2, dtype="int8")


def read(text, *specs, label=None):
    """The lists by name, and the sentence about how they were matched."""
    arrays, note = from_csv(text.encode(), specs, label, "q.csv")
    return {name: array.tolist() for name, array in arrays.items()}, note


# --- names of inputs and of their elements


@pytest.mark.parametrize("header", ["income,age", "income,age[0]", '"income" , age', "# income,age", "income_1,age_1"])
def test_columns_in_another_order_are_matched_by_name(header):
    assert read(f"{header}\n50,30\n", AGE, INCOME)[0] == {"age": [[30]], "income": [[50]]}


@pytest.mark.parametrize("form", ["{}[{}]", "{}_{}", "{}.{}", "{}{}"])
@pytest.mark.parametrize("first", [0, 1])
def test_elements_are_matched_by_their_numbers(form, first):
    columns = [("n", 1), ("x", 2), ("x", 0), ("n", 0), ("x", 1)]
    header = ",".join(form.format(name, number + first) for name, number in columns)
    assert read(f"{header}\n9,2,0,8,1\n", X, N)[0] == {"x": [[0, 1, 2]], "n": [[8, 9]]}


def test_name_that_starts_another_is_the_longer_one():
    columns = "x1[1],x2,x1[0],x0,x1_2,x_1"
    found = read(f"{columns}\n11,2,10,0,12,1\n", X, spec("x1", 3))[0]
    assert found == {"x": [[0, 1, 2]], "x1": [[10, 11, 12]]}


def test_matched_names_are_told():
    told = "q.csv, line 1: the columns income, age are matched by name with age, income."
    assert read("income,age\n50,30\n", AGE, INCOME)[1] == told


def test_many_names_are_told_in_short():
    header = ",".join(f"pixel{number}" for number in range(64))
    note = read(f"{header}\n{','.join(['0.5'] * 64)}\n", spec("image", 1, 64))[1]
    assert "pixel5, ... (64 in all) are read in this order as image[0] to image[63]" in note


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("age,wage", "q.csv, line 1: the model has no input 'wage'. Name the columns age, income."),
        ("age,1", "the model has no input '1'"),
        ("age,", "a column has no name"),
        ("age,age", "columns 1 and 2 are both named 'age'"),
        ("age,age_0", "the columns 'age' and 'age_0' name the same number"),
        ("Age,Income", "the model has no input 'Age'"),
        ("a,b", "the model has no input 'a'"),
    ],
)
def test_names_that_are_not_the_inputs_are_refused(header, message):
    with pytest.raises(DataError) as caught:
        read(f"{header}\n30,50\n", AGE, INCOME)
    assert message in str(caught.value)


def test_missing_column_is_refused_by_name():
    with pytest.raises(DataError, match=r"q\.csv, line 2: the input 'income' is missing"):
        read("\nage\n30\n", AGE, INCOME)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("x0,x1", "the input 'x[2]' is missing"),
        ("x0,x1,x3", "the model has no input 'x3'"),
        ("x1,x3", "the input 'x[1]' is missing"),
        ("x1,x2,x4", "the model has no input 'x4'"),
        ("x0,x1,y", "the model has no input 'y'"),
        ("x0,x1,x2,id", "the model has no input 'id'"),
    ],
)
def test_elements_that_are_not_all_there_are_refused(header, message):
    with pytest.raises(DataError) as caught:
        read(f"{header}\n{','.join('5' * (header.count(',') + 1))}\n", X)
    assert message in str(caught.value)


def test_one_column_for_a_larger_input_is_refused():
    with pytest.raises(DataError, match=r"the input 'x' is more than one number\. Name the columns age, x\[0\] to"):
        read("age,x\n1,2\n", AGE, X)


# --- names that the model does not know


def test_features_of_one_input_are_read_in_order_and_told():
    found, note = read("width,height,x\n1,2,3\n", X)
    assert found == {"x": [[1, 2, 3]]}
    assert note == "q.csv, line 1: the columns width, height, x are read in this order as x[0] to x[2]."


@pytest.mark.parametrize(
    ("header", "message"),
    [("a,b,a", "columns 1 and 3 are both named 'a'"), ("a,,c", "column 2 has no name"), ("a,b,c,d", "Give 3 numbers")],
)
def test_features_that_are_not_three_names_are_refused(header, message):
    with pytest.raises(DataError, match=message):
        read(f"{header}\n{','.join('5' * (header.count(',') + 1))}\n", X)


# --- what pandas writes


@pytest.mark.parametrize("line", ["5,6,7", "0.5,6,7"])
def test_default_header_is_no_sample(line):
    found, note = read(f"0,1,2\n{line}\n", X)
    assert (len(found["x"]), found["x"][0][1:]) == (1, [6, 7])
    assert "line 1: the columns are numbered, as pandas does by default" in note


@pytest.mark.parametrize("text", ["0,1,2\n", "0.0,1,2\n3,4,5\n", "0,2,1\n3,4,5\n"])
def test_line_that_is_no_default_header_is_a_sample(text):
    found, note = read(text, X)
    assert found["x"][0][0] == 0
    assert note == "q.csv has no header; its columns are read by position as x[0] to x[2]."


def test_default_header_of_few_columns_is_told_by_fractions():
    assert read("0,1\n0.5,0.25\n", AGE, INCOME)[0] == {"age": [[0.5]], "income": [[0.25]]}


@pytest.mark.parametrize("text", ["0,1\n1,0\n", "0\n1\n2\n"])
def test_line_that_may_be_a_header_or_a_sample_is_refused_with_both_cures(text):
    specs = [AGE, INCOME][: text.index("\n") // 2 + 1]
    with pytest.raises(
        DataError, match=r"q\.csv, line 1: .* Write 0\.0 instead of 0 if it is a sample; otherwise name"
    ):
        read(text, *specs)


def test_numbered_columns_in_another_order_are_matched_by_number():
    assert read("label,2,0,1\n7,12,10,11\n", X, label="label")[0] == {"x": [[10, 11, 12]], "label": [7]}


@pytest.mark.parametrize("header", [",a,b,c", "Unnamed: 0,a,b,c", ",0,1,2", "Unnamed: 0.1,Unnamed: 0,a,b,c"])
def test_index_is_left_out_and_told(header):
    found, note = read(f"{header}\n{'17,' * (header.count(',') - 2)}5,6,7\n", X)
    assert found == {"x": [[5, 6, 7]]}
    assert "is an index and left out" in note


def test_index_beside_named_inputs_is_left_out():
    assert read(",income,age\n3,50,30\n", AGE, INCOME)[0] == {"age": [[30]], "income": [[50]]}


def test_index_is_no_feature():
    with pytest.raises(DataError, match="Give 3 numbers"):
        read(",b,c\n1,2,3\n", X)


# --- labels and cells


def test_labels_stand_beside_named_columns():
    found, note = read("income,class,age\n50,1,30\n60,0,40\n", AGE, INCOME, label="class")
    assert found == {"age": [[30], [40]], "income": [[50], [60]], "class": [1, 0]}
    assert "column 'class' holds the labels" in note


def test_labels_that_were_not_asked_for_are_refused():
    with pytest.raises(DataError, match="the model has no input 'class'"):
        read("age,income,class\n30,50,1\n", AGE, INCOME)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,income\n30,50\n\n30,\n", "q.csv is not a table of numbers: line 4, column 'income' holds ''"),
        ("age,income\n30,50,70\n", "line 2 has 3 columns instead of 2"),
        ("30,50\n30,x\n", "line 2, column 2 holds 'x'"),
        ("age,income\n", "q.csv holds no line of numbers"),
        ("age;income\n30;50\n", "line 2, column 'age;income' holds '30;50'"),
    ],
)
def test_cell_that_is_no_number_is_refused_by_line_and_column(text, message):
    with pytest.raises(DataError) as caught:
        read(text, AGE, INCOME)
    assert message in str(caught.value)


def test_wide_table_is_matched_quickly():
    wide = spec("x", 20_000)
    order = np.random.default_rng(0).permutation(20_000)
    text = ",".join(f"x[{number}]" for number in order) + "\n" + ",".join(map(str, order)) + "\n"
    assert read(text, wide)[0] == {"x": [list(range(20_000))]}


# --- features that a circuit was calibrated with

FEATURES = ("age", "wage", "debt")


def read_features(text):
    return from_csv(text.encode(), [X], None, "q.csv", FEATURES)


@pytest.mark.parametrize("text", ["debt,age,wage\n2,0,1\n", ",wage,age,debt\n7,1,0,2\n", "x[2],x[0],x[1]\n2,0,1\n"])
def test_features_in_another_order_are_matched_by_name(text):
    assert read_features(text)[0]["x"].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("age,wage,loan", "q.csv, line 1: the model has no input 'loan'. Name the columns age, wage, debt."),
        ("age,wage", "the input 'debt' is missing"),
        ("age,wage,debt,age", "columns 1 and 4 are both named 'age'"),
        ("age,wage,x[1]", "'wage' and 'x[1]' name the same number"),
    ],
)
def test_other_names_than_the_features_are_refused(header, message):
    with pytest.raises(DataError) as caught:
        read_features(f"{header}\n{','.join('0' * len(header.split(',')))}\n")
    assert message in str(caught.value)


def test_numbers_without_names_are_read_in_the_order_of_the_features():
    arrays, note = read_features("0,1,2.5\n")
    assert arrays["x"].tolist() == [[0, 1, 2.5]]
    assert "read by position as age, wage, debt" in note


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("age,wage,debt\n0,1,2\n", FEATURES),
        (",age,wage,debt,grade\n0,0,1,2,1\n", FEATURES),
        ("x[0],x[1],x[2]\n0,1,2\n", ()),
        ("0,1,2\n0.5,1,2\n", ()),
        ("0.5,1,2\n", ()),
    ],
)
def test_features_are_the_names_that_the_model_does_not_know(text, found):
    assert feature_names(text.encode(), [X], "grade") == found


def test_model_of_several_inputs_has_no_features():
    assert feature_names(b"age,income\n0,1\n", [AGE, INCOME]) == ()
