"""Proof jobs as long-running operations of google.longrunning."""

from zkinfer.service.v1.operation_messages import Estimates, job_id_of, name_of, operation_of, timestamp
from zkinfer.service.v1.operations import OperationsServicer

__all__ = ["Estimates", "OperationsServicer", "job_id_of", "name_of", "operation_of", "timestamp"]
