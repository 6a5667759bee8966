"""The zkinfer.v1 services; proof jobs are long-running operations of google.longrunning."""

from zkinfer.service.v1.operations import (
    EndTimeEstimator,
    OperationsServicer,
    job_id_of,
    name_of,
    operation_of,
    timestamp,
)

__all__ = ["EndTimeEstimator", "OperationsServicer", "job_id_of", "name_of", "operation_of", "timestamp"]
