import { expect, test } from "vitest";
import { meetingPath, parseInvitation, parseRoute } from "./router";

test.each([
  ["https://parley.example/j/12345678901#secret", { id: "12345678901", passcode: "secret" }],
  ["http://localhost:8080/j/12345678901", { id: "12345678901", passcode: "" }],
  ["Come in: https://a.example/j/12345678901#a%2Eb at ten", { id: "12345678901", passcode: "a.b" }],
  ["123 4567 8901", { id: "12345678901", passcode: "" }],
  ["123-4567-8901", { id: "12345678901", passcode: "" }],
  ["1234567890", undefined],
  ["02345678901", undefined],
  ["", undefined],
  ["https://a.example/j/123456789012", undefined],
])("an invitation is found in %j", (text, expected) => {
  expect(parseInvitation(text)).toEqual(expected);
});

test("a path leads back to its meeting", () => {
  const path = meetingPath("12345678901", "p.c_d-1");
  expect(parseInvitation(path)).toEqual({ id: "12345678901", passcode: "p.c_d-1" });
});

test.each([
  ["/", { screen: "home" }],
  ["/sign-in/", { screen: "sign-in" }],
  ["/j/12345678901", { screen: "meeting", id: "12345678901" }],
  ["/j/42", { screen: "meeting", id: "" }],
  ["/nowhere", { screen: "unknown" }],
])("%s shows a screen", (path, expected) => {
  expect(parseRoute(path)).toEqual(expected);
});
