import { expect, test } from "vitest";
import { meetingPath, parseInvitation, parseRoute, passcodeIn } from "./router";

test.each([
  ["https://parley.example/j/12345678901#secret", { id: "12345678901", passcode: "secret" }],
  ["http://localhost:8080/j/12345678901", { id: "12345678901", passcode: "" }],
  ["Come in: https://a.example/j/12345678901#a%2Eb at ten", { id: "12345678901", passcode: "a.b" }],
  ["LINK-1: <https://a.example/j/12345678901#123456>", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901#123456.", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901#123456, at ten", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901/#123456", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: (https://a.example/j/12345678901#123456)!", { id: "12345678901", passcode: "123456" }],
  ['LINK-1: "https://a.example/j/12345678901#123456"', { id: "12345678901", passcode: "123456" }],
  ["LINK-1: „https://a.example/j/12345678901#123456“…", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901#123456。", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: [join](https://a.example/j/12345678901#123456).", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: **https://a.example/j/12345678901#123456**", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901#123456...", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901?utm=mail#123456", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: https://a.example/j/12345678901%23123456", { id: "12345678901", passcode: "123456" }],
  ["LINK-1: <https://a.example/j/12345678901>", { id: "12345678901", passcode: "" }],
  ["LINK-1: https://a.example/j/12345678901.", { id: "12345678901", passcode: "" }],
  ["https://a.example/j/12345678901#%", { id: "12345678901", passcode: "" }],
  ["123 4567 8901", { id: "12345678901", passcode: "" }],
  ["123-4567-8901", { id: "12345678901", passcode: "" }],
  ["<123 4567 8901>.", { id: "12345678901", passcode: "" }],
  ["1234567890", undefined],
  ["02345678901", undefined],
  ["", undefined],
  ["https://a.example/j/123456789012", undefined],
])("an invitation is found in %j", (text, expected) => {
  expect(parseInvitation(text)).toEqual(expected);
});

test.each(["p.c_d-1", "dots..", "-_.", "AZaz09"])("a path leads back to its meeting with passcode %s", (passcode) => {
  const path = meetingPath("12345678901", passcode);
  expect(parseInvitation(path)).toEqual({ id: "12345678901", passcode });
  expect(parseInvitation(`See <https://a.example${path}>.`)).toEqual({ id: "12345678901", passcode });
});

test.each([
  ["123456", "123456"],
  ["123456.", "123456"],
  ["123456%3E", "123456"],
  ["123456%2E", "123456."],
  ["123456%22%2C", "123456"],
  ["%31%32%33%34", "1234"],
  ["", ""],
])("LINK-1: of the address's fragment %j the passcode is %j", (fragment, passcode) => {
  expect(passcodeIn(fragment)).toBe(passcode);
});

test.each([
  ["/", { screen: "home" }],
  ["/sign-in/", { screen: "sign-in" }],
  ["/j/12345678901", { screen: "meeting", id: "12345678901" }],
  ["/j/12345678901%3E", { screen: "meeting", id: "12345678901" }],
  ["/j/12345678901.", { screen: "meeting", id: "12345678901" }],
  ["/j/123456789012", { screen: "meeting", id: "" }],
  ["/j/42", { screen: "meeting", id: "" }],
  ["/nowhere", { screen: "unknown" }],
])("%s shows a screen", (path, expected) => {
  expect(parseRoute(path)).toEqual(expected);
});
