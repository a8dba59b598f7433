/** The client's few addresses. */

import { Store } from "@/session/store";

export type Route =
  | { readonly screen: "home" }
  | { readonly screen: "sign-in" }
  | { readonly screen: "sign-up" }
  | { readonly screen: "meeting"; readonly id: string }
  | { readonly screen: "unknown" };

export function parseRoute(path: string): Route {
  const clean = path.replace(/\/+$/, "") || "/";
  if (clean === "/") {
    return { screen: "home" };
  }
  if (clean === "/sign-in") {
    return { screen: "sign-in" };
  }
  if (clean === "/sign-up") {
    return { screen: "sign-up" };
  }
  if (clean.startsWith("/j/")) {
    // An id that can't be one leads to the page for unknown meetings.
    // Punctuation after it came with the link from a text.
    return { screen: "meeting", id: clean.match(/^\/j\/([1-9]\d{10})(?:[^\w/]|%[\da-f]{2})*$/i)?.[1] ?? "" };
  }
  return { screen: "unknown" };
}

/**
 * Meeting id and passcode from what somebody pasted: a link with whatever stands around it, or 11 digits in any grouping.
 * Mail programs and their trackers add queries and a slash, and spell the sign before the passcode as %23.
 */
export function parseInvitation(text: string): { id: string; passcode: string } | undefined {
  const link = text.match(/\/j\/([1-9]\d{10})(?!\d)\/?(?:\?[^\s#]*)?(?:(?:#|%23)(\S+))?/);
  if (link?.[1]) {
    return { id: link[1], passcode: passcodeIn(link[2] ?? "") };
  }
  const digits = text.replace(/[\s-]/g, "").replace(/^\W+|\W+$/g, "");
  return /^[1-9]\d{10}$/.test(digits) ? { id: digits, passcode: "" } : undefined;
}

/**
 * The passcode at the beginning of a link's fragment. Passcodes are made of letters, digits, `.`, `_` and `-`: what follows belongs
 * to the text around the link, and so do dots at its end. A passcode that ends with a dot has it as `%2E` (`meetingPath`).
 */
export function passcodeIn(fragment: string): string {
  const [spelt = ""] = fragment.match(/^(?:[\w.-]|%(?:2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a]))*/i) ?? [];
  return decodeURIComponent(spelt.replace(/\.+$/, ""));
}

export function meetingPath(id: string, passcode: string): string {
  const spelt = encodeURIComponent(passcode).replace(/\.$/, "%2E");
  return `/j/${id}${spelt && `#${spelt}`}`;
}

const place = (): string => globalThis.location?.pathname ?? "/";

export const location = new Store(place());

export function navigate(path: string): void {
  history.pushState(null, "", path);
  location.set(place());
}

export function followHistory(): void {
  addEventListener("popstate", () => location.set(place()));
}
