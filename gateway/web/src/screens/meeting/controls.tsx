import {
  LayoutGrid,
  LogOut,
  Mic,
  MicOff,
  MonitorUp,
  MonitorX,
  MousePointer2,
  PanelRight,
  Users,
  Video,
  VideoOff,
} from "lucide-react";
import { Tooltip } from "radix-ui";
import { Control } from "@/design/control";
import { isOn } from "@/media/local_media";
import type { Call } from "@/session/call";
import type { SessionState } from "@/session/state";
import { useStore } from "@/session/store";
import { MoreMenu } from "./more_menu";
import { ReactionPicker } from "./reaction_picker";
import type { RoomActions, View } from "./room";
import { KEYS } from "./use_hotkeys";

export interface ControlsProps {
  readonly call: Call;
  readonly state: SessionState;
  readonly view: View;
  readonly link: string;
  /** Whether somebody else shares a screen. */
  readonly shared: boolean;
  readonly actions: RoomActions;
  /** Nobody moves: the bar fades; it keeps its place, so that nothing jumps. */
  readonly quiet: boolean;
}

const canShare = "getDisplayMedia" in navigator.mediaDevices;

/** The one bar. */
export function Controls({ call, state, view, link, shared, actions, quiet }: ControlsProps) {
  return (
    <Tooltip.Provider>
      <div
        role="toolbar"
        aria-label="Meeting controls"
        className={`flex items-center justify-center gap-1.5 px-2 pt-1 pb-[max(10px,env(safe-area-inset-bottom))] transition-opacity duration-300 focus-within:opacity-100 sm:gap-3 ${quiet ? "opacity-0" : ""}`}
      >
        <OwnControls call={call} actions={actions} />
        {shared && <PointerControl view={view} actions={actions} />}
        <ReactionPicker onPick={actions.react} />
        <span className="hidden items-center gap-3 sm:flex">
          <ModeControl view={view} actions={actions} />
          <Control
            label={view.panel === "people" ? "Hide participants" : "Participants"}
            hotkey={KEYS.people}
            tone={view.panel === "people" ? "active" : "plain"}
            aria-pressed={view.panel === "people"}
            className="gap-1.5 px-3"
            onClick={actions.togglePeople}
          >
            <Users aria-hidden="true" size={22} />
            <span className="text-sm tabular-nums">{state.participants.length}</span>
          </Control>
        </span>
        <MoreMenu call={call} state={state} view={view} link={link} actions={actions} />
        <Control label="Leave" tone="danger" onClick={actions.leave}>
          <LogOut aria-hidden="true" size={22} />
          <span className="ml-2 hidden sm:inline">Leave</span>
        </Control>
      </div>
    </Tooltip.Provider>
  );
}

function OwnControls({ call, actions }: { call: Call; actions: RoomActions }) {
  const { microphone, camera, screen } = useStore(call.local.state);
  const [heard, seen] = [isOn(microphone), isOn(camera)];
  return (
    <>
      <Control
        label={heard ? "Mute" : "Unmute"}
        hotkey={KEYS.microphone}
        tone={heard ? "plain" : "off"}
        onClick={actions.toggleMicrophone}
      >
        {heard ? <Mic aria-hidden="true" size={22} /> : <MicOff aria-hidden="true" size={22} />}
      </Control>
      <Control
        label={seen ? "Stop video" : "Start video"}
        hotkey={KEYS.camera}
        tone={seen ? "plain" : "off"}
        onClick={actions.toggleCamera}
      >
        {seen ? <Video aria-hidden="true" size={22} /> : <VideoOff aria-hidden="true" size={22} />}
      </Control>
      {canShare && (
        <Control
          label={screen ? "Stop sharing" : "Share screen"}
          hotkey={KEYS.screen}
          tone={screen ? "active" : "plain"}
          onClick={actions.toggleScreen}
        >
          {screen ? <MonitorX aria-hidden="true" size={22} /> : <MonitorUp aria-hidden="true" size={22} />}
        </Control>
      )}
    </>
  );
}

function PointerControl({ view, actions }: { view: View; actions: RoomActions }) {
  return (
    <Control
      label="Pointer"
      hotkey={KEYS.pointer}
      tone={view.pointing ? "active" : "plain"}
      aria-pressed={view.pointing}
      onClick={actions.togglePointer}
    >
      <MousePointer2 aria-hidden="true" size={22} />
    </Control>
  );
}

function ModeControl({ view, actions }: { view: View; actions: RoomActions }) {
  const gallery = view.mode === "gallery";
  return (
    <Control label={gallery ? "Speaker layout" : "Gallery layout"} hotkey={KEYS.mode} onClick={actions.toggleMode}>
      {gallery ? <PanelRight aria-hidden="true" size={22} /> : <LayoutGrid aria-hidden="true" size={22} />}
    </Control>
  );
}
