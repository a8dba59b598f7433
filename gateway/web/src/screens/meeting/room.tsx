import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Boundary } from "@/design/boundary";
import { Button } from "@/design/button";
import { isOn } from "@/media/local_media";
import { connectionPanel } from "@/parts";
import { meetingPath } from "@/router";
import { regeneratePasscode } from "@/rpc/api";
import type { Call } from "@/session/call";
import { sends } from "@/session/model";
import type { SessionState } from "@/session/state";
import { useStore } from "@/session/store";
import type { Mode } from "@/stage/layout";
import { Alone } from "./alone";
import { Announcer } from "./announcer";
import { ConnectionBanner } from "./banners";
import { Controls } from "./controls";
import { PeoplePanel } from "./people_panel";
import { LoadedPanel, PanelBoundary } from "./side_panel";
import { Stage } from "./stage";
import { useHotkeys } from "./use_hotkeys";
import { useIdle } from "./use_idle";
import { useWakeLock } from "./use_wake_lock";

/** What the person chose to see. */
export interface View {
  readonly mode: Mode;
  /** The panel beside the stage. */
  readonly panel: "none" | "people" | "connection";
  /** Id of the one who stays large. */
  readonly pinned: string;
  /** Whether others see where one points on a shared screen. */
  readonly pointing: boolean;
}

/** The call: the stage, one bar, and a panel that comes when asked for. */
export default function Room({ call, passcode }: { call: Call; passcode: string }) {
  const state = useStore(call.session.store);
  const [view, setView] = useState<View>({ mode: "gallery", panel: "none", pinned: "", pointing: false });
  const change = useCallback((next: Partial<View>) => setView((now) => ({ ...now, ...next })), []);
  const closePanel = useCallback(() => change({ panel: "none" }), [change]);
  const shared = state.participants.some((person) => person.id !== state.selfId && sends(person, "screen"));
  const actions = useActions(call, view, change);
  useEffect(() => {
    // The next share begins without a pointer: nobody expects to be watched.
    if (!shared) {
      change({ pointing: false });
    }
  }, [shared, change]);
  useHotkeys(actions);
  useWakeLock();
  const idle = useIdle(4_000);
  const link = useMemo(() => invitation(state, passcode), [state, passcode]);
  const title = state.meeting.topic || "Parley";
  useEffect(() => {
    const before = document.title;
    document.title = title;
    return () => {
      document.title = before;
    };
  }, [title]);
  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <h1 className="sr-only">{state.meeting.topic || "Meeting"}</h1>
      <ConnectionBanner state={state} call={call} />
      <div className="relative flex min-h-0 flex-1">
        <Boundary fallback={(again) => <NoStage onAgain={again} />}>
          <Stage call={call} state={state} view={view} onDetails={actions.toggleConnection} />
        </Boundary>
        {state.participants.length === 1 && <Alone link={link} />}
        {view.panel === "connection" && (
          <LoadedPanel part={connectionPanel} title="Connection details" onClose={closePanel}>
            {({ default: ConnectionPanel }) => <ConnectionPanel call={call} state={state} onClose={closePanel} />}
          </LoadedPanel>
        )}
        {view.panel === "people" && (
          <PanelBoundary title="Participants" onClose={closePanel}>
            <PeoplePanel
              state={state}
              link={link}
              local={call.local}
              pinned={view.pinned}
              onPin={(id) => change({ pinned: id, ...(id && { mode: "speaker" }) })}
              onNewPasscode={() => newPasscode(call)}
              onClose={closePanel}
            />
          </PanelBoundary>
        )}
      </div>
      <Controls
        call={call}
        state={state}
        view={view}
        link={link}
        shared={shared}
        actions={actions}
        quiet={idle && view.panel === "none"}
      />
      <Announcer state={state} />
    </div>
  );
}

function NoStage({ onAgain }: { onAgain: () => void }) {
  return (
    <div role="alert" className="flex flex-1 flex-col items-center justify-center gap-3 p-5 text-center">
      <p>The pictures can't be shown. Your call goes on, and you still hear each other.</p>
      <Button onClick={onAgain}>Show them again</Button>
    </div>
  );
}

/** What buttons and keys do. */
export interface RoomActions {
  readonly toggleMicrophone: () => void;
  readonly toggleCamera: () => void;
  readonly toggleScreen: () => void;
  readonly togglePointer: () => void;
  readonly toggleMode: () => void;
  readonly togglePeople: () => void;
  readonly toggleConnection: () => void;
  readonly react: (emoji: string) => void;
  readonly leave: () => void;
}

function useActions(call: Call, view: View, change: (next: Partial<View>) => void): RoomActions {
  const latest = useRef(view);
  latest.current = view;
  return useMemo(
    () => ({
      toggleMicrophone: () => call.local.setMicrophone(!isOn(call.local.state.get().microphone)),
      toggleCamera: () => call.local.setCamera(!isOn(call.local.state.get().camera)),
      toggleScreen: () => {
        if (call.local.state.get().screen) {
          call.local.stopScreen();
        } else {
          call.local.shareScreen();
        }
      },
      togglePointer: () => change({ pointing: !latest.current.pointing }),
      toggleMode: () => change({ mode: latest.current.mode === "gallery" ? "speaker" : "gallery", pinned: "" }),
      togglePeople: () => change({ panel: latest.current.panel === "people" ? "none" : "people" }),
      toggleConnection: () => change({ panel: latest.current.panel === "connection" ? "none" : "connection" }),
      react: (emoji) => call.session.react(emoji),
      leave: () => call.leave(),
    }),
    [call, change],
  );
}

async function newPasscode({ session }: Call): Promise<void> {
  const { token, meeting } = session.identity;
  session.meetingChanged(await regeneratePasscode(token, meeting));
}

/** The link for others, with the passcode that let us in. */
function invitation({ meeting }: SessionState, passcode: string): string {
  const code = meeting.passcode || passcode;
  return location.origin + meetingPath(meeting.id, code);
}
