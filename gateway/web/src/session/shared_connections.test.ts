import { describe, expect, test } from "vitest";
import { FakeClock, settle } from "@/testing/fake_clock";
import type { WatchMessage } from "./model";
import { inTurns, type Locks } from "./shared_connections";
import { watch } from "./watch";

/** Locks of one browser, first come, first served. */
class FakeLocks {
  private readonly held = new Set<string>();
  private waiting: { name: string; grant: () => void }[] = [];

  readonly port = {
    request: (name: string, options: LockOptions, hold: (lock: Lock | null) => Promise<void>) => {
      if (!this.held.has(name)) {
        return this.grant(name, hold);
      }
      if (options.ifAvailable) {
        return hold(null);
      }
      return new Promise<void>((resolve, reject) => {
        const entry = { name, grant: () => resolve(this.grant(name, hold)) };
        this.waiting.push(entry);
        options.signal?.addEventListener("abort", () => {
          this.waiting = this.waiting.filter((other) => other !== entry);
          reject(new DOMException("aborted", "AbortError"));
        });
      });
    },
    query: async () => ({ pending: this.waiting.map(({ name }) => ({ name })), held: [] }),
  } as unknown as Locks;

  get busy(): number {
    return this.held.size;
  }

  private async grant(name: string, hold: (lock: Lock) => Promise<void>): Promise<void> {
    this.held.add(name);
    await hold({ name } as Lock);
    this.held.delete(name);
    const next = this.waiting.find((entry) => entry.name === name);
    this.waiting = this.waiting.filter((entry) => entry !== next);
    next?.grant();
  }
}

/** A service that numbers what happens; its cursor is the number of the last thing told. */
class Service {
  open = 0;
  most = 0;
  private happened = 0;
  private readonly wake = new Set<() => void>();

  happen(): void {
    this.happened += 1;
    for (const wake of this.wake) {
      wake();
    }
  }

  async *stream(cursor: string, signal: AbortSignal): AsyncGenerator<WatchMessage> {
    this.open += 1;
    this.most = Math.max(this.most, this.open);
    let woken = () => {};
    const wake = () => woken();
    this.wake.add(wake);
    signal.addEventListener("abort", wake);
    signal.addEventListener("abort", () => {
      this.open -= 1;
    });
    let sequence = 0n;
    for (let told = Number(cursor); !signal.aborted; ) {
      if (told < this.happened) {
        told += 1;
        sequence += 1n;
        yield { sequence, cursor: String(told), body: { kind: "checkpoint" } };
      } else {
        await new Promise<void>((resolve) => {
          woken = resolve;
        });
      }
    }
  }
}

function browser(tabs: number) {
  const [clock, locks, service] = [new FakeClock(), new FakeLocks(), new Service()];
  return {
    clock,
    locks,
    service,
    tabs: Array.from({ length: tabs }, () => {
      const life = new AbortController();
      const tab = { seen: 0, lost: false, close: () => life.abort() };
      const open = inTurns((cursor, signal) => service.stream(cursor, signal), locks.port, clock);
      const onMessage = () => {
        tab.seen += 1;
      };
      const onState = (state: string) => {
        tab.lost ||= state === "lost";
      };
      void watch({ open, cursor: "0", clock, signal: life.signal, onMessage, onState });
      return tab;
    }),
  };
}

describe("H1-TABS: tabs that share six connections", () => {
  test.each([1, 4, 7, 20])("%i tabs: never more than four streams, and everyone is told everything", async (count) => {
    const { clock, service, tabs } = browser(count);
    await settle();
    for (let happening = 0; happening < 5; happening += 1) {
      service.happen();
      await clock.pass(700);
    }
    await clock.pass(count * 1_500);
    expect(tabs.map(({ seen }) => seen)).toEqual(tabs.map(() => 5));
    expect(tabs.filter(({ lost }) => lost)).toEqual([]);
    expect(service.most).toBe(Math.min(count, 4));
  });

  test("whoever has the turn keeps it while nobody waits", async () => {
    const { clock, service } = browser(4);
    await clock.pass(60_000);
    expect(service.open).toBe(4);
  });

  test("a place that becomes free is taken", async () => {
    const { clock, service, tabs } = browser(6);
    await clock.pass(5_000);
    tabs[0]?.close();
    tabs[1]?.close();
    await clock.pass(5_000);
    service.happen();
    await clock.pass(0);
    expect(tabs.slice(2).map(({ seen }) => seen)).toEqual([1, 1, 1, 1]);
  });

  test("a tab that leaves gives its place back, waiting or not", async () => {
    const { clock, locks, tabs } = browser(9);
    await clock.pass(2_500);
    for (const tab of tabs) {
      tab.close();
    }
    await settle();
    expect(locks.busy).toBe(0);
  });
});
