/** A part of the client that is loaded when it is needed, and may fail to be: after an update its file is gone, or the network is. */

import { useEffect } from "react";
import { Store, useStore } from "@/session/store";

export type PartState<T> =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly value: T }
  | { readonly kind: "failed" };

/** Between the first try and the second. */
const RETRY_MS = 1_000;
/** A file that has not come by then counts as not there. */
const DEADLINE_MS = 15_000;

type Sleep = (milliseconds: number) => Promise<void>;
const sleepFor: Sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Part<T> {
  readonly state = new Store<PartState<T>>({ kind: "loading" });
  private loading: Promise<T> | undefined;

  constructor(
    private readonly fetch: () => Promise<T>,
    private readonly sleep: Sleep = sleepFor,
  ) {}

  /** Loads it unless it is there, with one more try. Rejects when both failed; it may be called again then. */
  load(): Promise<T> {
    this.loading ??= this.attempts();
    return this.loading;
  }

  private async attempts(): Promise<T> {
    this.state.set({ kind: "loading" });
    try {
      const value = await this.attempt().catch(() => this.sleep(RETRY_MS).then(() => this.attempt()));
      this.state.set({ kind: "ready", value });
      return value;
    } catch (error) {
      this.loading = undefined;
      this.state.set({ kind: "failed" });
      throw error;
    }
  }

  private attempt(): Promise<T> {
    const late = this.sleep(DEADLINE_MS).then(() => Promise.reject(new Error("not loaded in time")));
    return Promise.race([this.fetch(), late]);
  }
}

/** The part as it is now; asks for it when the component comes. */
export function usePart<T>(part: Part<T>): PartState<T> {
  useEffect(() => {
    // `state` says how it ended.
    part.load().catch(() => undefined);
  }, [part]);
  return useStore(part.state);
}
