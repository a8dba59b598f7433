/** One error type for every failed call: programs look at `reason`, people read `words.ts`. */

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";

export class CallError extends Error {
  override readonly name = "CallError";
  constructor(
    /** gRPC status. */
    readonly code: Code,
    /** Of `google.rpc.ErrorInfo`, such as `PASSCODE_WRONG`; `NETWORK` when no answer came, empty when none was given. */
    readonly reason: string,
    message: string,
    readonly metadata: Readonly<Record<string, string>> = {},
    /** How long to wait before trying again, if the service said so. */
    readonly retryAfterMs?: number,
    /** Fields that break a rule, with the rule. */
    readonly violations: readonly FieldViolation[] = [],
  ) {
    super(message);
  }
}

export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** Reason of calls that nobody answered. */
export const NETWORK = "NETWORK";

/** Reason of calls whose user has been signed out: their session was ended elsewhere, or is over. */
export const SIGNED_OUT = "SIGNED_OUT";

/** Whatever a call threw, as a CallError. */
export function toCallError(thrown: unknown): CallError {
  if (thrown instanceof CallError) {
    return thrown;
  }
  if (thrown instanceof ConnectError && thrown.cause instanceof CallError) {
    return thrown.cause;
  }
  const error = ConnectError.from(thrown);
  if (!error.isWireError && (error.code === Code.Unknown || error.code === Code.Internal)) {
    return new CallError(Code.Unavailable, NETWORK, error.rawMessage);
  }
  const found = readDetails(error);
  return new CallError(
    error.code,
    found.reason,
    error.rawMessage,
    found.metadata,
    found.retryAfterMs,
    found.violations,
  );
}

/** Whether nothing came back, not even a refusal. */
export function isUnanswered(error: CallError): boolean {
  return error.reason === NETWORK || error.code === Code.DeadlineExceeded;
}

/** Whether the same call may succeed a little later. */
export function isTransient(error: CallError): boolean {
  return (
    error.code === Code.Unavailable ||
    error.code === Code.DeadlineExceeded ||
    error.reason === "RATE_LIMITED" ||
    (error.code === Code.Internal && error.reason === "") ||
    (error.code === Code.Unknown && error.reason === "")
  );
}

interface Details {
  reason: string;
  metadata: Record<string, string>;
  retryAfterMs?: number;
  violations: FieldViolation[];
}

/** The parts of google.rpc's error details that this client uses; the generated types would cost more than these readers. */
function readDetails(error: ConnectError): Details {
  const found: Details = { reason: "", metadata: {}, violations: [] };
  for (const detail of error.details) {
    if (!("type" in detail)) {
      continue;
    }
    if (detail.type === "google.rpc.ErrorInfo") {
      readErrorInfo(detail.value, found);
    } else if (detail.type === "google.rpc.RetryInfo") {
      found.retryAfterMs = readRetryInfo(detail.value);
    } else if (detail.type === "google.rpc.BadRequest") {
      eachField(detail.value, (_, reader) => {
        const [field, description] = readStrings(reader.bytes());
        found.violations.push({ field: field ?? "", description: description ?? "" });
      });
    }
  }
  return found;
}

function readErrorInfo(bytes: Uint8Array, into: Details): void {
  eachField(bytes, (field, reader) => {
    if (field === 1) {
      into.reason = reader.string();
    } else if (field === 3) {
      const [key, value] = readStrings(reader.bytes());
      into.metadata[key ?? ""] = value ?? "";
    } else {
      reader.skip(WireType.LengthDelimited);
    }
  });
}

function readRetryInfo(bytes: Uint8Array): number {
  let milliseconds = 0;
  eachField(bytes, (_, reader) => {
    const duration = new BinaryReader(reader.bytes());
    while (duration.pos < duration.len) {
      const [field] = duration.tag();
      milliseconds += field === 1 ? Number(duration.int64()) * 1000 : duration.int32() / 1e6;
    }
  });
  return milliseconds;
}

/** Fields 1 and 2 of a message of strings. */
function readStrings(bytes: Uint8Array): string[] {
  const strings: string[] = [];
  eachField(bytes, (field, reader) => {
    strings[field - 1] = reader.string();
  });
  return strings;
}

function eachField(bytes: Uint8Array, read: (field: number, reader: BinaryReader) => void): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type === WireType.LengthDelimited) {
      read(field, reader);
    } else {
      reader.skip(type);
    }
  }
}
