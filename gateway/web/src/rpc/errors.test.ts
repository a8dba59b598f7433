import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, describe as group, test } from "vitest";
import { CallError, isTransient, NETWORK, toCallError } from "./errors";
import { describe } from "./words";

const nested = (writer: BinaryWriter, field: number, bytes: Uint8Array) =>
  writer.tag(field, WireType.LengthDelimited).bytes(bytes);
const text = (writer: BinaryWriter, field: number, value: string) =>
  writer.tag(field, WireType.LengthDelimited).string(value);

function fromWire(code: Code, message: string, details: { type: string; value: Uint8Array }[]): ConnectError {
  const error = new ConnectError(message, code);
  error.details = details;
  error.isWireError = true;
  return error;
}

test("details are read as google.rpc defines them", () => {
  const entry = text(text(new BinaryWriter(), 1, "attempts_left"), 2, "3").finish();
  const info = nested(text(text(new BinaryWriter(), 1, "PASSCODE_WRONG"), 2, "parley.dev"), 3, entry).finish();
  const delay = new BinaryWriter().tag(1, WireType.Varint).int64(2).tag(2, WireType.Varint).int32(500_000_000).finish();
  const violation = text(text(new BinaryWriter(), 1, "display_name"), 2, "must be visible").finish();
  const error = toCallError(
    fromWire(Code.PermissionDenied, "no", [
      { type: "google.rpc.ErrorInfo", value: info },
      { type: "google.rpc.RetryInfo", value: nested(new BinaryWriter(), 1, delay).finish() },
      { type: "google.rpc.BadRequest", value: nested(new BinaryWriter(), 1, violation).finish() },
    ]),
  );
  expect(error).toMatchObject({
    code: Code.PermissionDenied,
    reason: "PASSCODE_WRONG",
    metadata: { attempts_left: "3" },
    retryAfterMs: 2_500,
    violations: [{ field: "display_name", description: "must be visible" }],
  });
});

test("no answer at all is a network problem that may pass", () => {
  const error = toCallError(new TypeError("Failed to fetch"));
  expect(error.reason).toBe(NETWORK);
  expect(isTransient(error)).toBe(true);
});

test("an internal fault of the service is not repeated", () => {
  const info = text(new BinaryWriter(), 1, "INTERNAL").finish();
  const error = toCallError(
    fromWire(Code.Internal, "id 0123456789abcdef", [{ type: "google.rpc.ErrorInfo", value: info }]),
  );
  expect(isTransient(error)).toBe(false);
});

group("words", () => {
  const problem = (code: Code, reason: string, message = "") => {
    const info = text(new BinaryWriter(), 1, reason).finish();
    return describe(toCallError(fromWire(code, message, [{ type: "google.rpc.ErrorInfo", value: info }])));
  };

  test.each([
    [Code.NotFound, "MEETING_NOT_FOUND", "unknown-meeting"],
    [Code.FailedPrecondition, "MEETING_ENDED", "ended"],
    [Code.ResourceExhausted, "MEETING_FULL", "full"],
    [Code.ResourceExhausted, "PASSCODE_ATTEMPTS_EXCEEDED", "passcode-locked"],
    [Code.Unavailable, "NO_MEDIA_NODE", "no-media-node"],
    [Code.Unavailable, "STORE_UNAVAILABLE", "unavailable"],
    [Code.PermissionDenied, "GUESTS_NOT_ALLOWED", "guests-not-allowed"],
  ])("%i %s leads to the page %s", (code, reason, kind) => {
    expect(problem(code, reason).kind).toBe(kind);
  });

  test("what the service adds is said too", () => {
    const wrong = new CallError(Code.PermissionDenied, "PASSCODE_WRONG", "", { attempts_left: "1" });
    expect(describe(wrong).advice).toContain("one more try");
    const locked = new CallError(Code.ResourceExhausted, "PASSCODE_ATTEMPTS_EXCEEDED", "", {}, 270_000);
    expect(describe(locked).advice).toContain("5 minutes");
  });

  test("a fault shows the number that is in the log", () => {
    expect(problem(Code.Internal, "INTERNAL", "fault 0123456789abcdef").advice).toContain("0123456789abcdef");
  });
});
