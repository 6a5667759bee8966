"""Get an answer and its proof with an unmodified Triton client.

    pip install 'tritonclient[grpc]'
    python answer.py [HOST:PORT] [MODEL]

Sends zeros to a model, prints the answer immediately, and writes the attestation to attestation.json once it arrives.
Check it with `zkinfer verify attestation.json --model MODEL.onnx`.
"""

import sys
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import tritonclient.grpc as triton


def main(target: str = "127.0.0.1:8001", model: str = "digits") -> None:
    client = triton.InferenceServerClient(target)
    inputs = []
    for spec in client.get_model_metadata(model).inputs:
        tensor = triton.InferInput(spec.name, list(spec.shape), spec.datatype)
        tensor.set_data_from_numpy(np.zeros(spec.shape, triton.triton_to_np_dtype(spec.datatype)))
        inputs.append(tensor)

    responses: Queue[tuple[Any, Any]] = Queue()
    client.start_stream(lambda result, error: responses.put((result, error)))
    client.async_stream_infer(model, inputs, request_id="1", enable_empty_final_response=True)
    answer = next_response(responses)
    for output in answer.get_response().outputs:
        print(output.name, answer.as_numpy(output.name).tolist())
    print("operation", answer.get_response().parameters["zkinfer_operation"].string_param)

    attestation = next_response(responses).as_numpy("zkinfer_attestation")[0]
    Path("attestation.json").write_bytes(attestation)
    print(f"attestation.json: {len(attestation):,} bytes")
    client.stop_stream()


def next_response(responses: "Queue[tuple[Any, Any]]") -> Any:
    result, error = responses.get(timeout=600)
    if error is not None:
        raise error
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
