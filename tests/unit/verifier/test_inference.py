import dataclasses

import pytest
from tests.unit.verifier.forge import X

from zkinfer.verifier import VerifiedInference


@pytest.fixture(scope="module")
def inference(parties, good):
    return parties.verify(good)


def fields(inference):
    return {field.name: getattr(inference, field.name) for field in dataclasses.fields(inference)}


@pytest.mark.parametrize("seal", [None, object(), True])
def test_inference_cannot_be_constructed_by_callers(inference, seal):
    with pytest.raises(TypeError, match=r"Only Verifier\.verify makes a VerifiedInference"):
        VerifiedInference(**fields(inference), seal=seal)


def test_inference_cannot_be_made_without_a_seal(inference):
    with pytest.raises(TypeError, match="seal"):
        VerifiedInference(**fields(inference))


def test_inference_cannot_be_copied_with_changes(inference):
    with pytest.raises((TypeError, ValueError), match="seal"):
        dataclasses.replace(inference, signer="sha256:" + "0" * 64)


def test_inference_is_immutable(inference):
    with pytest.raises(dataclasses.FrozenInstanceError, match="signer"):
        inference.signer = "somebody"
    with pytest.raises(TypeError, match="does not support item assignment"):
        inference.outputs["y"] = X
    with pytest.raises(ValueError, match="read-only"):
        inference.outputs["y"][0, 0] = 1.0


def test_array_cannot_be_made_writeable_again(inference):
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        inference.inputs["x"].flags.writeable = True


def test_seal_is_hidden_in_the_repr(inference):
    assert "seal" not in repr(inference)
