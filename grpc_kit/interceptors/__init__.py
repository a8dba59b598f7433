"""The chain that every call passes: telemetry, error map, deadline, auth, rate limit, validate, in this order."""

from grpc_kit.interceptors.auth import Authenticator, AuthInterceptor
from grpc_kit.interceptors.base import Call, CallInterceptor
from grpc_kit.interceptors.deadline import DeadlineInterceptor
from grpc_kit.interceptors.error_map import ErrorMapInterceptor
from grpc_kit.interceptors.rate_limit import RateLimitInterceptor
from grpc_kit.interceptors.telemetry import TelemetryInterceptor
from grpc_kit.interceptors.validate import ValidateInterceptor

__all__ = [
    "AuthInterceptor",
    "Authenticator",
    "Call",
    "CallInterceptor",
    "DeadlineInterceptor",
    "ErrorMapInterceptor",
    "RateLimitInterceptor",
    "TelemetryInterceptor",
    "ValidateInterceptor",
]
