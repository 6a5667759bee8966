"""Requests and responses in JSON and as binary data, without a server."""

import asyncio
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpies

from zkinfer.circuits.errors import DataError, InputError
from zkinfer.oip import messages
from zkinfer.service.errors import BadFieldError
from zkinfer.service.oip.tensors import DATATYPES, add_output, datatype_of, to_raw
from zkinfer.service.rest.inference import InferenceDecoder, OutputForms, encoded_response

SHAPES = numpies.array_shapes(max_dims=4, max_side=4)
NUMBERS = [one for one in DATATYPES.values() if one.name not in ("BYTES", "BF16")]


def decoded(document, tail=b"", model="m", version="1"):
    text = json.dumps(document).encode()
    decoder = InferenceDecoder(str(len(text)) if tail else None, model, version)
    return asyncio.run(decoder.decode(text + tail))


def arrays():
    return st.sampled_from(NUMBERS).flatmap(
        lambda kind: numpies.arrays(
            np.dtype(kind.code),
            SHAPES,
            elements={"allow_nan": False, "allow_infinity": False} if kind.code[1:2] == "f" else None,
        )
    )


def response_with(array):
    response = messages.ModelInferResponse(model_name="m", model_version="1", id="a")
    add_output(response, "y", array)
    return response


@given(arrays(), st.booleans())
def test_array_in_json_arrives_unchanged(array, nested):
    datatype = datatype_of(array.dtype.name)
    data = array.tolist() if nested else array.ravel().tolist()
    tensor = {"name": "x", "datatype": datatype.name, "shape": list(array.shape), "data": data}
    request = decoded({"inputs": [tensor]}).request
    assert list(request.raw_input_contents) == [to_raw(array, datatype)]
    assert (request.inputs[0].name, list(request.inputs[0].shape)) == ("x", list(array.shape))


@given(arrays())
def test_output_in_json_is_returned_unchanged(array):
    headers, body = encoded_response(response_with(array), OutputForms({}, default=False))
    [output] = json.loads(body)["outputs"]
    assert headers == {"content-type": "application/json"}
    assert output["shape"] == list(array.shape)
    assert np.array(output["data"], array.dtype).tobytes() == array.tobytes()


@given(arrays())
def test_output_as_binary_data_is_returned_unchanged(array):
    headers, body = encoded_response(response_with(array), OutputForms({"y": True}, default=False))
    length = int(headers["inference-header-content-length"])
    [output] = json.loads(body[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": array.nbytes}
    assert "data" not in output
    assert body[length:] == array.tobytes()


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_binary_tensors_arrive_in_order(contents):
    inputs = [
        {
            "name": f"x{place}",
            "datatype": "UINT8",
            "shape": [len(content)],
            "parameters": {"binary_data_size": len(content)},
        }
        for place, content in enumerate(contents)
    ]
    text = json.dumps({"inputs": inputs}).encode()
    request = asyncio.run(InferenceDecoder(str(len(text)), "m", "").decode(text + b"".join(contents))).request
    assert list(request.raw_input_contents) == contents
    assert not request.inputs[0].parameters


@given(st.binary(max_size=200), st.none() | st.text(max_size=5) | st.integers(-1, 210).map(str))
def test_any_bytes_are_decoded_or_refused_as_bad_input(data, length):
    decoder = InferenceDecoder(length, "m", "1")
    with suppress(InputError):
        decoder.count_numbers(data)
        asyncio.run(decoder.decode(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["id", "inputs", "outputs", "parameters", "x"]), JSON)
    | st.fixed_dictionaries(
        {
            "inputs": st.lists(
                st.fixed_dictionaries(
                    {"name": st.text(max_size=3), "datatype": st.sampled_from([*DATATYPES, "X"]), "shape": JSON},
                    optional={"data": JSON, "parameters": JSON},
                ),
                max_size=2,
            )
        }
    )
)
def test_any_document_is_decoded_or_refused_as_bad_input(document):
    with suppress(InputError):
        decoded(document)


def test_parameters_keep_their_types():
    given = {"a": True, "b": -1, "c": (1 << 64) - 1, "d": 0.5, "e": "text"}
    request = decoded({"inputs": [], "parameters": given}).request
    kinds = {name: request.parameters[name].WhichOneof("parameter_choice") for name in given}
    assert kinds == {
        "a": "bool_param",
        "b": "int64_param",
        "c": "uint64_param",
        "d": "double_param",
        "e": "string_param",
    }


def test_number_of_more_than_64_bits_is_refused_as_a_parameter():
    with pytest.raises(BadFieldError, match="more than 64 bits"):
        decoded({"inputs": [], "parameters": {"zkinfer_chain_id": 1 << 64}})


def test_form_of_an_output_is_its_own_or_that_of_the_request():
    outputs = [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}]
    forms = decoded({"inputs": [], "outputs": outputs, "parameters": {"binary_data_output": True}}).forms
    assert [forms.is_binary(name) for name in ("a", "b", "c")] == [True, False, True]


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [], "parameters": {"binary_data_output": 1}},
        {"inputs": [], "outputs": [{"name": "y", "parameters": {"binary_data": "yes"}}]},
    ],
)
def test_form_that_is_not_true_or_false_is_refused(document):
    with pytest.raises(BadFieldError, match="true or false"):
        decoded(document)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_output_that_json_cannot_express_is_refused_and_possible_as_binary_data(value):
    response = response_with(np.array([value], np.float32))
    with pytest.raises(BadFieldError, match="not finite") as caught:
        encoded_response(response, OutputForms({}, default=False))
    assert caught.value.field == "outputs.y"
    assert encoded_response(response, OutputForms({}, default=True))[1].endswith(np.float32(value).tobytes())


def test_body_with_too_many_lists_is_refused_before_it_is_parsed():
    with pytest.raises(DataError, match="more than 65,536 lists"):
        InferenceDecoder(None, "m", "1").count_numbers(b"[" * ((1 << 16) + 1))


def test_body_with_too_many_values_is_refused_with_the_cure():
    with pytest.raises(DataError, match="more than 262,144 values") as caught:
        InferenceDecoder(None, "m", "1").count_numbers(b"0," * ((1 << 18) + 1))
    assert caught.value.cure == "Send the elements of large tensors as bytes."


def test_count_bounds_what_a_body_takes():
    decoder = InferenceDecoder(None, "m", "1")
    assert decoder.count_numbers(b'{"data": [1, 2, 3]}') >= 3
    assert decoder.count_numbers(b"[],[],[]") >= 6
