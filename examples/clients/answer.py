"""An answer and its proof, with a client that knows nothing of zkinfer.

    pip install 'tritonclient[grpc]'
    python answer.py [HOST:PORT] [MODEL]

Sends zeros to a model, prints the answer at once, and writes the attestation to attestation.json when it is there.
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
    for port in client.get_model_metadata(model).inputs:
        tensor = triton.InferInput(port.name, list(port.shape), port.datatype)
        tensor.set_data_from_numpy(np.zeros(port.shape, triton.triton_to_np_dtype(port.datatype)))
        inputs.append(tensor)

    arrived: Queue[tuple[Any, Any]] = Queue()
    client.start_stream(lambda result, error: arrived.put((result, error)))
    client.async_stream_infer(model, inputs, request_id="1", enable_empty_final_response=True)
    answer = next_of(arrived)
    for output in answer.get_response().outputs:
        print(output.name, answer.as_numpy(output.name).tolist())
    print("operation", answer.get_response().parameters["zkinfer_operation"].string_param)

    attestation = next_of(arrived).as_numpy("zkinfer_attestation")[0]
    Path("attestation.json").write_bytes(attestation)
    print(f"attestation.json: {len(attestation):,} bytes")
    client.stop_stream()


def next_of(arrived: "Queue[tuple[Any, Any]]") -> Any:
    result, error = arrived.get(timeout=600)
    if error is not None:
        raise error
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
