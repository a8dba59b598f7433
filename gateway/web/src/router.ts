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
    return { screen: "meeting", id: clean.match(/^\/j\/([1-9]\d{10})$/)?.[1] ?? "" };
  }
  return { screen: "unknown" };
}

/** Meeting id and passcode from what somebody pasted: a link, or 11 digits in any grouping. */
export function parseInvitation(text: string): { id: string; passcode: string } | undefined {
  const link = text.match(/\/j\/([1-9]\d{10})(?!\d)(?:#(\S+))?/);
  if (link?.[1]) {
    return { id: link[1], passcode: decode(link[2] ?? "") };
  }
  const digits = text.replace(/[\s-]/g, "");
  return /^[1-9]\d{10}$/.test(digits) ? { id: digits, passcode: "" } : undefined;
}

export function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

export const meetingPath = (id: string, passcode: string): string =>
  `/j/${id}${passcode ? `#${encodeURIComponent(passcode)}` : ""}`;

const place = (): string => globalThis.location?.pathname ?? "/";

export const location = new Store(place());

export function navigate(path: string): void {
  history.pushState(null, "", path);
  location.set(place());
}

export function followHistory(): void {
  addEventListener("popstate", () => location.set(place()));
}
