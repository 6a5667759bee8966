#!/bin/sh
# List a server's models, request an answer and a proof, and wait for the proof, with grpcurl:
#
#     sh calls.sh [HOST:PORT] [MODEL] < inputs.json
#
# The last call needs a server with --reflection, from which grpcurl learns google.longrunning.Operations.
# inputs.json is the list of input tensors: [{"name": "image", "datatype": "FP32", "shape": [1, 64],
# "contents": {"fp32_contents": [...]}}]. With TLS and a token, omit -plaintext and add
# -H "authorization: Bearer $ZKINFER_TOKEN".
set -eu
target=${1:-127.0.0.1:8001}
model=${2:-digits}
protos=$(cd "$(dirname "$0")/../../proto" && pwd)
call() { grpcurl -plaintext -import-path "$protos" -proto "$1" -d "$2" "$target" "$3"; }

call zkinfer/v1/models.proto '{}' zkinfer.v1.Models/ListModels
answer=$(call zkinfer/oip/inference.proto "{\"model_name\": \"$model\", \"inputs\": $(cat)}" \
    inference.GRPCInferenceService/ModelInfer)
printf '%s\n' "$answer"
operation=$(printf '%s' "$answer" | sed -n '/zkinfer_operation/,/}/s/.*"stringParam": "\([^"]*\)".*/\1/p')
grpcurl -plaintext -d "{\"name\": \"$operation\", \"timeout\": \"60s\"}" "$target" \
    google.longrunning.Operations/WaitOperation
