import { CircleAlert, MonitorUp, Volume2, WifiOff } from "lucide-react";
import { type ReactNode, useSyncExternalStore } from "react";
import { Button } from "@/design/button";
import { Spinner } from "@/design/page";
import { DEVICE_WORDS } from "@/media/device_words";
import type { Call } from "@/session/call";
import type { SessionState } from "@/session/state";
import { useStore } from "@/session/store";

/** One line above the stage when something is not as it should be, with what happens next. */
export function ConnectionBanner({ state, call }: { state: SessionState; call: Call }) {
  const online = useOnline();
  const blocked = useStore(call.media.soundBlocked);
  const local = useStore(call.local.state);
  if (!online) {
    return (
      <Line icon={<WifiOff aria-hidden="true" size={18} />}>
        You are offline. We bring you back as soon as the network is there.
      </Line>
    );
  }
  if (state.media === "blocked") {
    return (
      <Line icon={<Spinner size={18} />}>
        Picture and sound don't get through. Your network may block calls: try another one, or turn a VPN off. We keep
        trying.
      </Line>
    );
  }
  if (state.media === "lost") {
    return (
      <Line icon={<Spinner size={18} />}>Reconnecting picture and sound. Stay here, it comes back by itself.</Line>
    );
  }
  if (state.signal === "lost") {
    return <Line icon={<Spinner size={18} />}>Reconnecting. You still hear and see each other.</Line>;
  }
  if (state.media === "connecting") {
    return <Line icon={<Spinner size={18} />}>Connecting picture and sound</Line>;
  }
  if (blocked) {
    return (
      <Line icon={<Volume2 aria-hidden="true" size={18} />}>
        Your browser holds the sound back.
        <Button look="ghost" onClick={() => call.media.unblockSound()}>
          Turn sound on
        </Button>
      </Line>
    );
  }
  if (local.complaint) {
    const { device, problem } = local.complaint;
    const { title, advice } = DEVICE_WORDS[problem];
    const label = problem === "replaced" && local[device].track?.label;
    return (
      <Line icon={<CircleAlert aria-hidden="true" size={18} className="shrink-0 text-warn" />}>
        <span className="max-w-2xl">
          <strong className="font-medium">{title(device)}.</strong> {label ? `You're now using ${label}.` : advice}
        </span>
        <Button look="ghost" onClick={() => call.local.dismissComplaint()}>
          Got it
        </Button>
      </Line>
    );
  }
  if (local.screen) {
    return <Line icon={<MonitorUp aria-hidden="true" size={18} />}>You are sharing your screen with everyone.</Line>;
  }
  return null;
}

function Line({ icon, children }: { icon: ReactNode; children: ReactNode }) {
  return (
    <div
      role="status"
      data-testid="connection-state"
      className="absolute inset-x-0 top-0 z-10 flex items-center justify-center gap-2 bg-scrim px-4 py-1.5 text-center text-sm"
    >
      {icon}
      {children}
    </div>
  );
}

function useOnline(): boolean {
  return useSyncExternalStore(
    (listener) => {
      addEventListener("online", listener);
      addEventListener("offline", listener);
      return () => {
        removeEventListener("online", listener);
        removeEventListener("offline", listener);
      };
    },
    () => navigator.onLine,
  );
}
