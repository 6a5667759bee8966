#!/bin/sh
# A server's models, an answer with a proof, and the proof's operation, with grpcurl:
#
#     sh calls.sh [HOST:PORT] [MODEL] < inputs.json
#
# The last call needs a server with --reflection, which tells grpcurl what google.longrunning.Operations is.
# inputs.json is the list of input tensors: [{"name": "image", "datatype": "FP32", "shape": [1, 64],
# "contents": {"fp32_contents": [...]}}]. With TLS and a token, leave -plaintext away and add
# -H "authorization: Bearer $ZKINFER_TOKEN".
set -eu
target=${1:-127.0.0.1:8001}
model=${2:-digits}
protos=$(cd "$(dirname "$0")/../../proto" && pwd)
ask() { grpcurl -plaintext -import-path "$protos" -proto "$1" -d "$2" "$target" "$3"; }

ask zkinfer/v1/models.proto '{}' zkinfer.v1.Models/ListModels
answer=$(ask zkinfer/oip/inference.proto "{\"model_name\": \"$model\", \"inputs\": $(cat)}" \
    inference.GRPCInferenceService/ModelInfer)
printf '%s\n' "$answer"
operation=$(printf '%s' "$answer" | sed -n '/zkinfer_operation/,/}/s/.*"stringParam": "\([^"]*\)".*/\1/p')
grpcurl -plaintext -d "{\"name\": \"$operation\", \"timeout\": \"60s\"}" "$target" \
    google.longrunning.Operations/WaitOperation
