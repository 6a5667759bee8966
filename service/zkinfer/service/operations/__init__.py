"""Proof jobs as long-running operations of google.longrunning."""

from zkinfer.service.operations.names import job_id_of, name_of
from zkinfer.service.operations.servicer import OperationsServicer
from zkinfer.service.operations.views import Estimates, operation_of, timestamp

__all__ = ["Estimates", "OperationsServicer", "job_id_of", "name_of", "operation_of", "timestamp"]
