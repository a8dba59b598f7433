import { CircleAlert, MonitorUp, Volume2, WifiOff } from "lucide-react";
import { type ReactNode, useSyncExternalStore } from "react";
import { Button } from "@/design/button";
import { Spinner } from "@/design/page";
import { DEVICE_WORDS } from "@/media/device_words";
import type { Call } from "@/session/call";
import type { SessionState } from "@/session/state";
import { useStore } from "@/session/store";
import { type Trouble, trouble } from "@/session/trouble";

const busy = <Spinner size={18} />;
const TROUBLES: Readonly<Record<Trouble, { icon: ReactNode; text: string }>> = {
  offline: {
    icon: <WifiOff aria-hidden="true" size={18} />,
    text: "You are offline. We bring you back as soon as the network is there.",
  },
  blocked: {
    icon: busy,
    text: "Picture and sound don't get through. Your network may block calls: try another one, or turn a VPN off. We keep trying.",
  },
  lost: { icon: busy, text: "Reconnecting picture and sound. Stay here, it comes back by itself." },
  connecting: { icon: busy, text: "Connecting picture and sound" },
  signal: { icon: busy, text: "Reconnecting. You still hear and see each other." },
  unheard: { icon: busy, text: "Reconnecting. Stay here, it comes back by itself." },
};

/** One line above the stage when something is not as it should be, with what happens next. */
export function ConnectionBanner({ state, call }: { state: SessionState; call: Call }) {
  const found = trouble(state, useOnline());
  const blocked = useStore(call.media.soundBlocked);
  const local = useStore(call.local.state);
  if (found) {
    const { icon, text } = TROUBLES[found];
    return <Line icon={icon}>{text}</Line>;
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
        <Button look="ghost" className="shrink-0" onClick={() => call.local.dismissComplaint()}>
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
