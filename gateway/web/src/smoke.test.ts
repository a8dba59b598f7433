import { create } from "@bufbuild/protobuf";
import { MeetingSchema } from "@gen/meeting/v1/meeting_pb";
import { expect, test } from "vitest";

test("generated code resolves", () => {
  expect(create(MeetingSchema, { name: "meetings/1" }).name).toBe("meetings/1");
});
