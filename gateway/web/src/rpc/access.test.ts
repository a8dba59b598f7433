import { describe, expect, it } from "vitest";
import type { Role } from "@/session/model";
import { allowed } from "./access";

const ROLES: readonly Role[] = ["host", "co-host", "panelist", "participant", "attendee"];

describe("who may call what", () => {
  it.each(["endMeeting", "regeneratePasscode"] as const)("%s is for hosts", (method) => {
    expect(ROLES.filter((role) => allowed(method, role))).toEqual(["host"]);
  });

  it("lets every role call what names none", () => {
    expect(ROLES.filter((role) => allowed("lookUpMeeting", role))).toEqual(ROLES);
  });

  it("lets no participant call what needs a user's token", () => {
    expect(ROLES.filter((role) => allowed("deleteMeeting", role))).toEqual([]);
  });

  it("lets nobody call who is not in the meeting yet", () => {
    expect(allowed("lookUpMeeting", undefined)).toBe(false);
  });
});
