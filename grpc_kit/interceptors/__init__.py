"""The chain that every call passes, outermost first.

One message, telemetry, error map, deadline, rate limit by address, authentication, rate limit by caller, validation,
responses that are encoded already.
"""

from grpc_kit.interceptors.auth import Authenticator, AuthInterceptor
from grpc_kit.interceptors.base import Call, CallInterceptor
from grpc_kit.interceptors.deadline import DeadlineInterceptor
from grpc_kit.interceptors.encoded import EncodedInterceptor
from grpc_kit.interceptors.error_map import ErrorMapInterceptor
from grpc_kit.interceptors.one_message import OneMessageInterceptor
from grpc_kit.interceptors.rate_limit import RateLimitInterceptor
from grpc_kit.interceptors.telemetry import TelemetryInterceptor
from grpc_kit.interceptors.validate import ValidateInterceptor

__all__ = [
    "AuthInterceptor",
    "Authenticator",
    "Call",
    "CallInterceptor",
    "DeadlineInterceptor",
    "EncodedInterceptor",
    "ErrorMapInterceptor",
    "OneMessageInterceptor",
    "RateLimitInterceptor",
    "TelemetryInterceptor",
    "ValidateInterceptor",
]
