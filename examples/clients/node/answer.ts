// Get an answer and its proof from Node:
//
//     npm install && npm start -- [HOST:PORT] [MODEL]
//
// Sends zeros to a model, prints the answer immediately, and writes the attestation to attestation.json once it arrives.
// Check it with `zkinfer verify attestation.json --model MODEL.onnx`.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

type Port = { name: string; datatype: string; shape: string[] };
type Tensor = { name: string; datatype: string; shape: (string | number)[] };
type Parameter = { string_param?: string };
type Answer = { outputs: Tensor[]; raw_output_contents: Buffer[]; parameters: Record<string, Parameter> };
type Reply = { error_message: string; infer_response: Answer };

const [target = "127.0.0.1:8001", model = "digits"] = process.argv.slice(2);
const proto = fileURLToPath(new URL("../../../proto/zkinfer/oip/inference.proto", import.meta.url));
const { inference } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true, longs: String })) as any;
const client = new inference.GRPCInferenceService(target, grpc.credentials.createInsecure());

const bytesOf: Record<string, number> = {
  BOOL: 1, INT8: 1, UINT8: 1, INT16: 2, UINT16: 2, FP16: 2, INT32: 4, UINT32: 4, FP32: 4, INT64: 8, UINT64: 8, FP64: 8,
};

function zeros(port: Port): Buffer {
  const elements = port.shape.map(Number).reduce((product, extent) => product * extent, 1);
  return Buffer.alloc(elements * bytesOf[port.datatype]);
}

function show(answer: Answer): void {
  answer.outputs.forEach((output, place) => {
    const raw = answer.raw_output_contents[place];
    const values = output.datatype === "FP32"
      ? Array.from({ length: raw.length / 4 }, (_, element) => raw.readFloatLE(4 * element))
      : raw.toString("hex");
    console.log(output.name, JSON.stringify(values));
  });
  console.log("operation", answer.parameters["zkinfer_operation"].string_param);
}

client.ModelMetadata({ name: model }, (failure: grpc.ServiceError | null, metadata: { inputs: Port[] }) => {
  if (failure) throw failure;
  const call = client.ModelStreamInfer();
  call.on("error", (error: grpc.ServiceError) => {
    console.error(error.details);
    process.exit(1);
  });
  call.on("data", (reply: Reply) => {
    if (reply.error_message) throw new Error(reply.error_message);
    const attested = reply.infer_response.outputs.findIndex(({ name }) => name === "zkinfer_attestation");
    if (attested < 0) return show(reply.infer_response);
    // A BYTES element is prefixed with its length in four bytes.
    const attestation = reply.infer_response.raw_output_contents[attested].subarray(4);
    writeFileSync("attestation.json", attestation);
    console.log(`attestation.json: ${attestation.length} bytes`);
    call.end();
  });
  call.write({
    model_name: model,
    id: "1",
    inputs: metadata.inputs,
    raw_input_contents: metadata.inputs.map(zeros),
  });
});
