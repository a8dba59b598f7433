/** The way from a link to the end of a call: checks, asks, waits, joins; one phase at a time, each with its screen. */

import { LocalMedia } from "@/media/local_media";
import { Meter } from "@/media/meter";
import { Peer } from "@/media/peer";
import { meetingPath, passcodeIn } from "@/router";
import { lookUpMeeting, type Preview } from "@/rpc/api";
import { account, type Entry, entryTo, holdsTokenFor } from "@/rpc/credentials";
import { type CallError, SIGNED_OUT, toCallError } from "@/rpc/errors";
import { PATIENT, retrying } from "@/rpc/retry";
import { describe, NOT_LOADED, type Problem, UNKNOWN_MEETING } from "@/rpc/words";
import { Call } from "./call";
import type { Ending } from "./state";
import { Store } from "./store";

/** What a person needs before a call. */
export interface Lobby {
  readonly preview: Preview;
  readonly entry: Entry;
  readonly passcode: string;
  readonly local: LocalMedia;
  readonly meter: Meter;
}

export type Phase =
  | { readonly kind: "checking"; readonly waiting?: Problem }
  | { readonly kind: "passcode"; readonly wrong: Problem | undefined }
  | { readonly kind: "problem"; readonly problem: Problem }
  | { readonly kind: "lobby"; readonly lobby: Lobby; readonly joining: boolean; readonly problem?: Problem }
  | { readonly kind: "in"; readonly lobby: Lobby; readonly call: Call }
  | { readonly kind: "over"; readonly ending: Ending; readonly problem: Problem | undefined };

const NAME = "parley.name";

export class Visit {
  readonly phase = new Store<Phase>({ kind: "checking" });
  private readonly life = new AbortController();
  private attempt = new AbortController();
  private prepared: Promise<Peer> | undefined;
  private lobby: Lobby | undefined;
  /** Said in the lobby to whoever was signed out on the way. */
  private signedOut: Problem | undefined;
  private call: Call | undefined;

  /** `loadRoom` gets the screen of the call; nobody is in a call that can't be shown. */
  constructor(
    readonly id: string,
    private readonly loadRoom: () => Promise<unknown>,
  ) {}

  /** Begins, or begins again. */
  start(): void {
    void this.check(passcodeFromAddress());
  }

  /** Tries a passcode and remembers it in the address. */
  givePasscode(passcode: string): void {
    history.replaceState(null, "", meetingPath(this.id, passcode));
    void this.check(passcode);
  }

  /** Another passcode stands in the address: worth a try for whoever is not in yet. */
  addressChanged(): void {
    if (["passcode", "problem"].includes(this.phase.get().kind)) {
      this.start();
    }
  }

  /** The name last used, or the account's. */
  get name(): string {
    return localStorage.getItem(NAME) ?? account.account?.displayName ?? "";
  }

  /** Enters the meeting; the click. */
  async join(displayName: string): Promise<void> {
    const { lobby } = this;
    if (!lobby) {
      return;
    }
    localStorage.setItem(NAME, displayName);
    this.phase.set({ kind: "lobby", lobby, joining: true });
    try {
      await this.loadRoom();
    } catch {
      this.phase.set({ kind: "lobby", lobby, joining: false, problem: NOT_LOADED });
      return;
    }
    if (this.lobby === lobby && this.prepared) {
      await this.joinFrom(lobby, this.prepared, displayName);
    }
  }

  private async joinFrom(lobby: Lobby, prepared: Promise<Peer>, displayName: string): Promise<void> {
    this.attempt = new AbortController();
    const { signal } = this.attempt;
    const call = new Call({ ...lobby, meeting: this.id, displayName });
    try {
      const onWait = (error: CallError) =>
        this.phase.set({ kind: "lobby", lobby, joining: true, problem: describe(error) });
      await call.join(await prepared, signal, onWait);
      this.prepared = undefined;
      this.enter(call, lobby);
    } catch (thrown) {
      call.close();
      this.refused(toCallError(thrown), lobby);
    }
  }

  /** Stops trying to get in. */
  cancel(): void {
    this.attempt.abort();
  }

  /** To be called when the screen goes away. */
  close(): void {
    this.life.abort();
    this.attempt.abort();
    this.call?.leave();
    this.letGo();
  }

  private async check(passcode: string): Promise<void> {
    if (!this.id) {
      this.phase.set({ kind: "problem", problem: UNKNOWN_MEETING });
      return;
    }
    this.phase.set({ kind: "checking" });
    try {
      const onWait = (error: CallError) => this.phase.set({ kind: "checking", waiting: describe(error) });
      const options = { policy: PATIENT, signal: this.life.signal, onWait };
      const found = await retrying(() => this.look(passcode), options);
      if (!this.life.signal.aborted) {
        this.open(found, passcode);
      }
    } catch (thrown) {
      const error = toCallError(thrown);
      if (error.reason === SIGNED_OUT && !this.signedOut) {
        // The sign-in is forgotten by now: whoever has the link comes in as a guest.
        this.signedOut = describe(error);
        await this.check(passcode);
      } else {
        this.notLetIn(error, passcode);
      }
    }
  }

  private async look(passcode: string): Promise<{ entry: Entry; preview: Preview }> {
    if (!passcode && !(await holdsTokenFor(this.id))) {
      // Says whether there is such a meeting at all before anybody looks for a passcode.
      await lookUpMeeting(undefined, this.id, "");
    }
    const entry = await entryTo(this.id, passcode);
    return { entry, preview: await lookUpMeeting(await entry.token(), this.id, passcode) };
  }

  private open({ entry, preview }: { entry: Entry; preview: Preview }, passcode: string): void {
    this.letGo();
    const local = new LocalMedia({ muted: preview.muteOnEntry });
    const meter = new Meter();
    local.onTrack((source, track) => source === "microphone" && meter.follow(track));
    this.lobby = { entry, preview, passcode, local, meter };
    this.prepared = Peer.prepare(local);
    const { lobby, signedOut: problem } = this;
    this.phase.set({ kind: "lobby", lobby, joining: false, ...(problem && { problem }) });
    local.start();
  }

  private notLetIn(error: CallError, passcode: string): void {
    if (error.reason === "PASSCODE_WRONG") {
      this.phase.set({ kind: "passcode", wrong: passcode ? describe(error) : undefined });
    } else if (!this.life.signal.aborted) {
      this.phase.set({ kind: "problem", problem: describe(error) });
    }
  }

  private enter(call: Call, lobby: Lobby): void {
    this.call = call;
    // The lobby has said what is wrong with the devices.
    lobby.local.dismissComplaint();
    const { store } = call.session;
    store.subscribe(() => {
      const { ending, problem } = store.get();
      if (ending && this.call === call) {
        this.call = undefined;
        call.close();
        this.letGo();
        this.phase.set({ kind: "over", ending, problem });
      }
    });
    this.phase.set({ kind: "in", lobby, call });
  }

  private refused(error: CallError, lobby: Lobby): void {
    if (this.life.signal.aborted) {
      return;
    }
    const problem = describe(error);
    this.prepared ??= Peer.prepare(lobby.local);
    if (this.attempt.signal.aborted) {
      this.phase.set({ kind: "lobby", lobby, joining: false });
    } else if (["input", "fault", "signed-out"].includes(problem.kind)) {
      this.phase.set({ kind: "lobby", lobby, joining: false, problem });
    } else if (error.reason === "PASSCODE_WRONG") {
      this.letGo();
      this.phase.set({ kind: "passcode", wrong: problem });
    } else {
      this.letGo();
      this.phase.set({ kind: "problem", problem });
    }
  }

  /** Turns camera and microphone off and drops an unused connection. */
  private letGo(): void {
    this.lobby?.local.close();
    this.lobby?.meter.close();
    this.lobby = undefined;
    void this.prepared?.then((peer) => peer.close());
    this.prepared = undefined;
  }
}

function passcodeFromAddress(): string {
  return passcodeIn(location.hash.slice(1));
}
