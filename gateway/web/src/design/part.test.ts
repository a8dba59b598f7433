import { describe, expect, test } from "vitest";
import { FakeClock, settle } from "@/testing/fake_clock";
import { Part } from "./part";

const gone = () => Promise.reject(new TypeError("Failed to fetch dynamically imported module"));

function part(...tries: (() => Promise<string>)[]) {
  const clock = new FakeClock();
  const made: string[] = [];
  const fetch = () => {
    made.push("try");
    return (tries.shift() ?? gone)();
  };
  return { clock, made, part: new Part(fetch, (milliseconds) => clock.sleep(milliseconds)) };
}

describe("W3: a part that can't be loaded", () => {
  test("is tried once more by itself", async () => {
    const { clock, made, part: panel } = part(gone, async () => "panel");
    const loaded = panel.load();
    await clock.pass(1_000);
    expect(await loaded).toBe("panel");
    expect(panel.state.get()).toEqual({ kind: "ready", value: "panel" });
    expect(made.length).toBe(2);
  });

  test("has failed after that, and can be tried again by a person", async () => {
    const { clock, made, part: panel } = part(gone, gone, async () => "panel");
    const failed = expect(panel.load()).rejects.toThrow("Failed to fetch");
    await clock.pass(1_000);
    await failed;
    expect(panel.state.get().kind).toBe("failed");
    expect(made.length).toBe(2);
    expect(await panel.load()).toBe("panel");
    expect(panel.state.get().kind).toBe("ready");
  });

  test("has failed when nothing comes", async () => {
    const never = () => new Promise<string>(() => undefined);
    const { clock, part: panel } = part(never, never);
    const failed = expect(panel.load()).rejects.toThrow("in time");
    await clock.pass(31_000);
    await failed;
    expect(panel.state.get().kind).toBe("failed");
  });
});

test("a part is loaded once, however many ask for it", async () => {
  const { made, part: panel } = part(async () => "panel");
  await Promise.all([panel.load(), panel.load()]);
  await settle();
  await panel.load();
  expect(made.length).toBe(1);
});
