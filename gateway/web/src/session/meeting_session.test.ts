import { Code } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import type { SignalingPort } from "@/rpc/api";
import { CallError } from "@/rpc/errors";
import { FakeClock, settle } from "@/testing/fake_clock";
import type { PeerPort } from "./media_keeper";
import { MeetingSession } from "./meeting_session";
import type { Joined, MediaAnswer, Participant, SlotRequest, Track, WatchMessage } from "./model";
import type { SessionState } from "./state";

const TRACKS: Track[] = [{ mid: "0", kind: "audio", source: "microphone", muted: false }];

class FakePeer implements PeerPort {
  state: RTCPeerConnectionState = "new";
  closed = false;
  sent = "";
  relays: readonly RTCIceServer[] = [];
  private readonly listeners: ((state: RTCPeerConnectionState) => void)[] = [];

  constructor(readonly number: number) {}

  offer(slots: readonly SlotRequest[] = []) {
    return { sdp: `offer ${this.number}${".".repeat(this.restarts)}`, tracks: TRACKS, slots };
  }
  tracks() {
    return TRACKS;
  }
  async accept() {}
  restarts = 0;
  async restart(iceServers: readonly RTCIceServer[]) {
    this.restarts += 1;
    this.relays = iceServers;
  }
  async stats() {
    return new Map() as RTCStatsReport;
  }
  /** What comes each time that somebody looks. */
  flow = 1_000;
  private bytes = 0;
  async received() {
    this.bytes += this.flow;
    return this.bytes;
  }
  send(encodings: SessionState["encodings"]) {
    this.sent = JSON.stringify(encodings);
  }
  onState(listener: (state: RTCPeerConnectionState) => void) {
    this.listeners.push(listener);
  }
  close() {
    this.closed = true;
  }
  become(state: RTCPeerConnectionState) {
    this.state = state;
    for (const listener of this.listeners) {
      listener(state);
    }
  }
}

const self = (id: string): Participant => ({
  id,
  displayName: "Me",
  role: "participant",
  presence: "connected",
  tracks: TRACKS,
});

const TURN: RTCIceServer[] = [{ urls: ["turn:turn.example"], username: "a", credential: "b" }];
/** The answer of a node that opened its `session`-th session of the participant. */
const answer = (epoch: bigint, session = 1): MediaAnswer => ({
  sdp: `v=0\r\na=ssrc:${session}00 cname:x\r\n`,
  slots: [],
  iceServers: TURN,
  epoch,
});

/** The service, as far as a session sees it. */
class FakeService {
  readonly calls: string[] = [];
  /** What the next call of a kind fails with. */
  readonly failures: Partial<Record<keyof SignalingPort, CallError[]>> = {};
  push: ((body: WatchMessage["body"]) => void) | undefined;
  private participants = 0;
  epoch = 1n;
  /** Whether the node takes an ICE restart for what it is. */
  keepsSessions = true;
  private nodeSessions = 1;

  readonly port: SignalingPort = {
    joinMeeting: async ({ offer, requestId }) => {
      this.note("joinMeeting", `join ${offer.sdp} ${requestId.length}`);
      this.participants += 1;
      return this.joined(`p${this.participants}`);
    },
    renegotiateMedia: async (_, offer) => {
      this.note("renegotiateMedia", `renegotiate ${offer.sdp}`);
      const restart = offer.sdp.endsWith(".");
      this.nodeSessions += restart && this.keepsSessions ? 0 : 1;
      return answer(this.epoch, this.nodeSessions);
    },
    watchSession: (_, cursor, signal) => this.stream(cursor, signal),
    updateSlots: async (_, slots) => this.note("updateSlots", `slots ${slots.map(({ mid }) => mid)}`),
    updateTracks: async () => this.note("updateTracks", "tracks"),
    explainSession: async () => Promise.reject(away()),
    sendReaction: async () => undefined,
    heartbeat: async ({ participant, token }) => {
      this.note("heartbeat", `beat ${participant} ${token}`);
      return { intervalMs: 10_000, token: "" };
    },
    leaveMeeting: async ({ participant }) => this.note("leaveMeeting", `leave ${participant}`),
  };

  made(kind: string): string[] {
    return this.calls.filter((call) => call.startsWith(kind));
  }

  private note(kind: keyof SignalingPort, call: string): void {
    this.calls.push(call);
    const failure = this.failures[kind]?.shift();
    if (failure) {
      throw failure;
    }
  }

  private joined(id: string): Joined {
    const meeting = { id: "12345678901", topic: "", hostDisplayName: "", passcode: "", ended: false };
    return {
      self: self(id),
      token: `token of ${id}`,
      answer: answer(this.epoch),
      snapshot: { meeting, participants: [self(id)], slots: [], encodings: [], dominantSpeaker: "" },
      cursor: "c0",
      heartbeatMs: 10_000,
    };
  }

  private async *stream(cursor: string, signal: AbortSignal): AsyncGenerator<WatchMessage> {
    this.calls.push(`watch ${cursor}`);
    const queue: WatchMessage["body"][] = [];
    let wake = () => {};
    this.push = (body) => {
      queue.push(body);
      wake();
    };
    signal.addEventListener("abort", () => wake());
    for (let sequence = 1n; !signal.aborted; ) {
      const body = queue.shift();
      if (body) {
        yield { sequence, cursor: `c${sequence}`, body };
        sequence += 1n;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }
}

const gone = () => new CallError(Code.NotFound, "PARTICIPANT_NOT_FOUND", "");
const away = () => new CallError(Code.Unavailable, "STORE_UNAVAILABLE", "");

let clock: FakeClock;
let service: FakeService;
let peers: FakePeer[];
let session: MeetingSession;

let iceServers: (readonly RTCIceServer[])[];

const newPeer = (): FakePeer => {
  const peer = new FakePeer(peers.length + 1);
  peers.push(peer);
  return peer;
};

async function join(): Promise<FakePeer> {
  const peer = newPeer();
  const joining = session.join({ peer });
  await clock.pass(1);
  await joining;
  peer.become("connected");
  await settle();
  return peer;
}

beforeEach(() => {
  clock = new FakeClock();
  service = new FakeService();
  peers = [];
  iceServers = [];
  session = new MeetingSession({
    api: service.port,
    clock,
    media: {
      prepare: async (servers) => {
        iceServers.push(servers);
        return newPeer();
      },
      bind: () => undefined,
    },
    entry: { token: async () => "guest" },
    meeting: "12345678901",
    passcode: "",
    displayName: "Me",
  });
});

test("a join is one call, then the stream from its cursor and a heartbeat every 10 s", async () => {
  await join();
  expect(service.made("join")).toEqual(["join offer 1 36"]);
  expect(service.made("watch")).toEqual(["watch c0"]);
  await clock.pass(30_000);
  expect(service.made("beat")).toHaveLength(3);
  expect(service.made("beat")[0]).toBe("beat p1 token of p1");
  expect(session.store.get()).toMatchObject({ selfId: "p1", media: "connected", signal: "live" });
});

test("a join waits for a service that is away", async () => {
  service.failures.joinMeeting = [away(), away()];
  const waits: string[] = [];
  const joining = session.join({ peer: newPeer(), onWait: ({ reason }) => waits.push(reason) });
  await clock.pass(5_000);
  await joining;
  expect(waits).toEqual(["STORE_UNAVAILABLE", "STORE_UNAVAILABLE"]);
  expect(new Set(service.made("join")).size).toBe(1);
});

test("a join before the host asks again until the meeting has begun", async () => {
  service.failures.joinMeeting = [new CallError(Code.FailedPrecondition, "MEETING_NOT_STARTED", "")];
  const joining = session.join({ peer: newPeer() });
  await clock.pass(2_000);
  expect(service.made("join")).toHaveLength(1);
  await clock.pass(2_000);
  await joining;
  expect(service.made("join")).toHaveLength(2);
});

test("a refused join says why", async () => {
  service.failures.joinMeeting = [new CallError(Code.ResourceExhausted, "MEETING_FULL", "")];
  await expect(session.join({ peer: newPeer() })).rejects.toMatchObject({ reason: "MEETING_FULL" });
});

describe("media", () => {
  test("a short interruption is waited out", async () => {
    const peer = await join();
    peer.become("disconnected");
    await clock.pass(1_900);
    peer.become("connected");
    await clock.pass(5_000);
    expect(service.made("renegotiate")).toEqual([]);
  });

  test("two seconds without connection bring a new way for the same connection, by relays too", async () => {
    const peer = await join();
    peer.become("disconnected");
    await clock.pass(2_100);
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1."]);
    expect(peer.relays).toEqual(TURN);
    expect(session.store.get().media).toBe("lost");
    peer.become("connected");
    await clock.pass(20_000);
    expect(session.store.get()).toMatchObject({ media: "connected", selfId: "p1" });
    expect(peers).toHaveLength(1);
    expect(service.made("renegotiate")).toHaveLength(1);
  });

  test("a connection over which nothing comes any more gets a new way before the browser says so", async () => {
    const peer = await join();
    await clock.pass(6_000);
    peer.flow = 0;
    await clock.pass(2_000);
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1."]);
    expect(session.store.get().media).toBe("connected");
    await clock.pass(10_000);
    expect(service.made("renegotiate")).toHaveLength(1);
    expect(peers).toHaveLength(1);
  });

  test("when there is no new way, a new connection comes and the old one goes", async () => {
    const peer = await join();
    peer.become("disconnected");
    await clock.pass(2_100 + 5_100);
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1.", "renegotiate offer 2"]);
    expect(peer.closed).toBe(true);
    peers[1]?.become("connected");
    expect(session.store.get()).toMatchObject({ media: "connected", selfId: "p1" });
  });

  test("a node that has lost the session is not waited for", async () => {
    const peer = await join();
    service.keepsSessions = false;
    peer.become("failed");
    await settle();
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1.", "renegotiate offer 2"]);
  });

  test("nor is a room that has moved", async () => {
    const peer = await join();
    service.epoch = 2n;
    peer.become("failed");
    await settle();
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1.", "renegotiate offer 2"]);
  });

  test("a connection that does not come up within three seconds is tried by relays", async () => {
    const peer = newPeer();
    await session.join({ peer });
    await clock.pass(2_900);
    expect(service.made("renegotiate")).toEqual([]);
    await clock.pass(200);
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1."]);
    expect(peer.relays).toEqual(TURN);
    expect(session.store.get().media).toBe("connecting");
    peer.become("connected");
    expect(session.store.get().media).toBe("connected");
  });

  test("another network is taken at once, without a word to the person", async () => {
    const peer = await join();
    session.networkChanged();
    session.networkChanged();
    await clock.pass(400);
    expect(service.made("renegotiate")).toEqual(["renegotiate offer 1."]);
    expect(session.store.get().media).toBe("connected");
    await clock.pass(20_000);
    expect(service.made("renegotiate")).toHaveLength(1);
    // And what is lost after it is looked for again.
    peer.become("failed");
    await settle();
    expect(service.made("renegotiate").at(-1)).toBe("renegotiate offer 1..");
  });

  test("a failed connection is tried at once, again and again with growing pauses", async () => {
    const peer = await join();
    peer.become("failed");
    await settle();
    expect(service.made("renegotiate")).toHaveLength(1);
    await clock.pass(60_000);
    expect(session.store.get().media).toBe("blocked");
    const tries = service.made("renegotiate").length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(16);
  });

  test("a room that moved is followed once for each epoch", async () => {
    await join();
    service.epoch = 2n;
    service.push?.({ kind: "events", events: [{ kind: "media-moved", epoch: 2n }] });
    await settle();
    service.push?.({ kind: "events", events: [{ kind: "media-moved", epoch: 2n }] });
    await settle();
    expect(service.made("renegotiate")).toHaveLength(1);
  });

  test.each([
    ["another way", "failed"],
    ["another connection", "moved"],
  ])("SHARD-HANG: a room that moves while %s is being agreed on is followed", async (_, what) => {
    const peer = await join();
    const move = (epoch: bigint) => service.push?.({ kind: "events", events: [{ kind: "media-moved", epoch }] });
    if (what === "failed") {
      peer.become("failed");
    } else {
      service.epoch = 2n;
      move(2n);
    }
    move(3n);
    while (service.made("renegotiate").length === 0) {
      await Promise.resolve();
    }
    service.epoch = 3n;
    await clock.pass(400);
    expect(service.made("renegotiate")).toHaveLength(2);
    peers.at(-1)?.become("connected");
    await clock.pass(20_000);
    expect(service.made("renegotiate")).toHaveLength(2);
  });

  test("a new connection may use the servers that the answer named", async () => {
    const peer = await join();
    service.keepsSessions = false;
    peer.become("failed");
    await settle();
    expect(iceServers).toEqual([TURN]);
  });

  test("a service that is away is asked until it answers", async () => {
    const peer = await join();
    service.failures.renegotiateMedia = [away(), away(), away()];
    peer.become("failed");
    await clock.pass(7_000);
    expect(service.made("renegotiate").slice(0, 4)).toEqual(Array(4).fill("renegotiate offer 1."));
  });
});

describe("FLT-9: a service that can't be reached", () => {
  const unreachable = () => new CallError(Code.Unavailable, "NETWORK", "");

  test("shows at the first heartbeat without an answer, and until the next answer", async () => {
    await join();
    service.failures.heartbeat = [unreachable(), unreachable()];
    await clock.pass(10_100);
    expect(session.store.get().unanswered).toBe(true);
    await clock.pass(2_000);
    // A stream that was there before may go on where new calls don't get through.
    service.push?.({ kind: "checkpoint" });
    await settle();
    expect(session.store.get().unanswered).toBe(true);
    await clock.pass(2_000);
    expect(session.store.get()).toMatchObject({ unanswered: false, media: "connected", signal: "live" });
  });

  test("shows at once when the browser believes to be offline, and not when it is wrong", async () => {
    await join();
    session.networkDoubtful();
    await settle();
    expect(service.made("beat")).toHaveLength(1);
    expect(session.store.get().unanswered).toBe(false);
    service.failures.heartbeat = [unreachable()];
    session.networkDoubtful();
    await settle();
    expect(session.store.get().unanswered).toBe(true);
    session.networkChanged();
    await settle();
    expect(session.store.get().unanswered).toBe(false);
  });

  test("shows when a change of one's own goes unanswered, and not when it is refused", async () => {
    await join();
    service.failures.updateSlots = [new CallError(Code.NotFound, "MID_UNKNOWN", "")];
    session.showSlots([{ mid: "8", selection: { kind: "automatic" }, maxHeight: 90 }]);
    await clock.pass(100);
    expect(session.store.get().unanswered).toBe(false);
    service.failures.updateSlots = [new CallError(Code.DeadlineExceeded, "", "")];
    session.showSlots([{ mid: "8", selection: { kind: "automatic" }, maxHeight: 180 }]);
    await settle();
    expect(session.store.get().unanswered).toBe(true);
    await clock.pass(1_000);
    expect(session.store.get().unanswered).toBe(false);
  });

  test("is told from media that stops: a connection stands for seconds after its network is gone", async () => {
    const peer = await join();
    await clock.pass(3_000);
    expect(session.store.get().flows).toBe(true);
    peer.flow = 0;
    await clock.pass(2_000);
    expect(session.store.get()).toMatchObject({ flows: false, media: "connected" });
    peer.flow = 1_000;
    await clock.pass(1_000);
    expect(session.store.get().flows).toBe(true);
  });
});

describe("coming back as a new participant", () => {
  test.each([
    ["a heartbeat", "heartbeat", 10_100],
    ["a new answer", "renegotiateMedia", 100],
  ] as const)("when %s finds the old one gone", async (_, call, milliseconds) => {
    const peer = await join();
    service.failures[call] = [gone()];
    if (call === "renegotiateMedia") {
      peer.become("failed");
    }
    await clock.pass(milliseconds);
    expect(service.made("join")).toHaveLength(2);
    expect(session.store.get().selfId).toBe("p2");
    expect(peer.closed).toBe(true);
    await clock.pass(10_000);
    expect(service.made("beat").at(-1)).toBe("beat p2 token of p2");
  });

  test("when the stream says so", async () => {
    await join();
    service.push?.({ kind: "go-away", reason: "left", delayMs: 0 });
    await clock.pass(100);
    expect(session.store.get()).toMatchObject({ selfId: "p2", ending: undefined });
  });

  test("not after having been removed", async () => {
    await join();
    service.push?.({ kind: "events", events: [{ kind: "participant-left", participant: "p1", reason: "removed" }] });
    service.push?.({ kind: "go-away", reason: "left", delayMs: 0 });
    await clock.pass(60_000);
    expect(service.made("join")).toHaveLength(1);
    expect(session.store.get().ending).toBe("removed");
    expect(service.made("beat")).toEqual([]);
  });

  test("what came before the removal in the same message counts", async () => {
    await join();
    service.push?.({
      kind: "events",
      events: [
        { kind: "participant-joined", participant: self("p2") },
        { kind: "participant-left", participant: "p1", reason: "removed" },
      ],
    });
    await clock.pass(100);
    expect(session.store.get()).toMatchObject({ ending: "removed" });
    expect(session.store.get().participants.map(({ id }) => id)).toContain("p2");
  });

  test("ends when the meeting is over meanwhile", async () => {
    await join();
    service.failures.heartbeat = [gone()];
    service.failures.joinMeeting = [new CallError(Code.FailedPrecondition, "MEETING_ENDED", "")];
    await clock.pass(11_000);
    expect(session.store.get().ending).toBe("ended");
  });
});

describe("what the layout shows", () => {
  const source = (mid: string, participant: string): SlotRequest => ({
    mid,
    selection: { kind: "source", participant, mid: "1" },
  });

  test("is told only where it changes", async () => {
    await join();
    session.showSlots([{ mid: "7", selection: { kind: "automatic" } }, source("8", "a")]);
    await settle();
    session.showSlots([source("7", "b"), source("8", "a")]);
    await settle();
    expect(service.made("slots")).toEqual(["slots 8", "slots 7"]);
  });

  test("goes with a new offer", async () => {
    const peer = await join();
    session.showSlots([source("8", "a")]);
    await settle();
    peer.become("failed");
    await settle();
    session.showSlots([source("8", "a")]);
    await settle();
    expect(service.made("slots")).toEqual(["slots 8"]);
  });
});

test("encodings that nobody needs are stopped, and a new connection begins with all", async () => {
  const peer = await join();
  const needed = (...rids: string[]) =>
    service.push?.({
      kind: "events",
      events: [{ kind: "encodings-changed", tracks: [{ mid: "1", rids, codec: "" }] }],
    });
  needed("q");
  await settle();
  expect(peer.sent).toBe('{"1":["q"]}');
  service.keepsSessions = false;
  peer.become("failed");
  await settle();
  expect(peers[1]?.sent).toBe("{}");
  needed("q", "f");
  await settle();
  expect(peers[1]?.sent).toBe('{"1":["q","f"]}');
});

test("leaving tells the service and stops everything", async () => {
  const peer = await join();
  session.leave();
  await clock.pass(60_000);
  expect(service.made("leave")).toEqual(["leave p1"]);
  expect(service.made("beat")).toEqual([]);
  expect(peer.closed).toBe(true);
  expect(session.store.get().ending).toBe("left");
});
