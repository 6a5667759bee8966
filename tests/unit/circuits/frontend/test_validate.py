from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from zkinfer.circuits.engines.ezkl.lowering import operators, pipeline
from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend import operators as shared
from zkinfer.circuits.frontend.validate import problems, refuse_problems

TABLES = (
    operators.SUPPORTED,
    operators.COMPOSITE,
    operators.REWRITTEN,
    operators.CONSTANT_ONLY,
    operators.REFUSED,
    shared.REFUSED,
)


def test_valid_model_has_no_problems(dense):
    assert list(problems(dense)) == []


@pytest.mark.parametrize(
    ("operator", "cure"),
    [
        ("Loop", "tracing"), ("If", "tracing"), ("Scan", "tracing"), ("RandomNormal", "evaluation mode"),
        ("StringNormalizer", "numbers"), ("NonMaxSuppression", "fixed"), ("SequenceAt", "Split"),
    ],
)  # fmt: skip
def test_unsupported_operator_is_refused_with_a_cure(dense, operator, cure):
    dense.graph.node[1].op_type = operator
    dense.graph.node[1].name = "suspect"
    with pytest.raises(UnsupportedModelError, match=f"{operator}.*'suspect'.*{cure}"):
        refuse_problems(dense)


@pytest.mark.parametrize(
    ("operator", "cure"),
    [
        ("QuantizeLinear", "weights are quantised"), ("Upsample", "opset_version=17"),
        ("Det", "docs/reference/operators.md"),
        ("Nonsense", "docs/reference/operators.md"), ("GroupNormalization", "LayerNormalization"),
    ],
)  # fmt: skip
def test_operator_unsupported_by_ezkl_is_refused_with_a_cure(dense, operator, cure):
    dense.graph.node[1].op_type = operator
    dense.graph.node[1].name = "suspect"
    assert list(problems(dense)) == []
    with pytest.raises(UnsupportedModelError, match=f"{operator}.*'suspect'.*{cure}"):
        pipeline.normal_form(dense, {}, 7)


def test_support_vector_machine_is_refused_with_hummingbird_as_cure(dense):
    dense.graph.node[1].domain = "ai.onnx.ml"
    dense.graph.node[1].op_type = "SVMClassifier"
    with pytest.raises(UnsupportedModelError, match="hummingbird"):
        refuse_problems(dense)


def test_custom_domain_is_refused(dense):
    dense.graph.node[1].domain = "com.evil"
    with pytest.raises(UnsupportedModelError, match=r"custom domain 'com\.evil'"):
        refuse_problems(dense)


def test_model_local_function_is_refused(dense):
    dense.functions.add(name="f", domain="mine")
    with pytest.raises(UnsupportedModelError, match="own function"):
        refuse_problems(dense)


def test_training_information_is_refused(dense):
    dense.training_info.add()
    with pytest.raises(UnsupportedModelError, match="training information"):
        refuse_problems(dense)


def test_quantisation_annotation_is_refused(dense):
    dense.graph.quantization_annotation.add(tensor_name="w")
    with pytest.raises(UnsupportedModelError, match="annotated"):
        refuse_problems(dense)


def test_subgraph_in_a_supported_operator_is_refused(dense):
    dense.graph.node[1].attribute.append(helper.make_attribute("body", helper.make_graph([], "g", [], [])))
    with pytest.raises(UnsupportedModelError, match="holds a subgraph"):
        refuse_problems(dense)


def test_reference_to_an_attribute_is_refused(dense):
    dense.graph.node[1].attribute.add(name="alpha", ref_attr_name="a", type=onnx.AttributeProto.FLOAT)
    with pytest.raises(ModelError, match="outside of one"):
        refuse_problems(dense)


@pytest.mark.parametrize("version", [1, 6, 27, 1 << 40])
def test_opset_out_of_range_is_refused(dense, version):
    dense.opset_import[0].version = version
    with pytest.raises(UnsupportedModelError, match="opset_version=17"):
        refuse_problems(dense)


def test_two_default_opsets_are_refused(dense):
    dense.opset_import.add(domain="ai.onnx", version=13)
    with pytest.raises(ModelError, match="exactly one version"):
        refuse_problems(dense)


@pytest.mark.parametrize("name", ["ctx", "ctx_out"])
def test_reserved_name_is_refused(dense, name):
    dense.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5]))
    with pytest.raises(UnsupportedModelError, match=f"'{name}' is reserved"):
        pipeline.normal_form(dense, {}, 7)


def test_empty_graph_is_refused(dense):
    del dense.graph.node[:]
    with pytest.raises(ModelError, match="empty"):
        refuse_problems(dense)


@pytest.mark.parametrize("field", ["input", "output"])
def test_model_without_inputs_or_outputs_is_refused(dense, field):
    dense.graph.ClearField(field)
    with pytest.raises(ModelError, match=f"no {field}"):
        refuse_problems(dense)


@pytest.mark.parametrize("field", ["input", "output", "initializer", "node"])
def test_duplicate_name_is_refused(dense, field):
    items = getattr(dense.graph, field)
    items.append(items[0])
    with pytest.raises(ModelError, match="one name for two"):
        refuse_problems(dense)


def test_output_that_is_an_input_is_refused(dense):
    dense.graph.output.append(dense.graph.input[0])
    with pytest.raises(UnsupportedModelError, match="is an input, unchanged"):
        refuse_problems(dense)


@pytest.mark.parametrize("kind", ["STRING", "COMPLEX64", "BFLOAT16", "UINT64", "INT4"])
def test_input_or_output_of_unsupported_type_is_refused_by_type(dense, kind):
    dense.graph.input[0].type.tensor_type.elem_type = TensorProto.DataType.Value(kind)
    with pytest.raises(UnsupportedModelError, match=f"'x' has elements of type {kind.lower()}.*Cast inside the model"):
        refuse_problems(dense)


def test_sequence_input_is_refused(dense):
    dense.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    with pytest.raises(UnsupportedModelError, match="not a tensor"):
        refuse_problems(dense)


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "\x1b[31m"])
def test_malformed_port_name_is_refused(dense, name):
    dense.graph.output[0].name = name
    with pytest.raises(ModelError, match="port name"):
        refuse_problems(dense)


def test_input_without_rank_is_refused(dense):
    dense.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UnsupportedModelError, match="no declared rank"):
        refuse_problems(dense)


def test_input_of_nine_dimensions_is_refused(dense):
    dense.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, [1] * 9))
    with pytest.raises(UnsupportedModelError, match="more than 8 dimensions"):
        refuse_problems(dense)


def test_operator_tables_do_not_overlap():
    names = [name for table in TABLES for name in table]
    assert len(names) == len(set(names))


def test_operator_tables_list_only_onnx_operators():
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert {name for table in TABLES for name in table} <= known
