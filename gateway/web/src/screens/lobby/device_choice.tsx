import { Camera, Mic, Volume2 } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import type { LocalMedia } from "@/media/local_media";
import type { Meter } from "@/media/meter";
import { useStore } from "@/session/store";

const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype;

/** Which camera, microphone and loudspeaker, and whether the microphone hears anything. */
export function DeviceChoice({ local, meter }: { local: LocalMedia; meter: Meter }) {
  const { devices, camera, microphone, speakerId } = useStore(local.state);
  const of = (kind: MediaDeviceKind) => devices.filter((device) => device.kind === kind && device.deviceId);
  // Browsers name cameras only once one may be used.
  const unnamed = !camera.on && devices.some(({ kind }) => kind === "videoinput");
  return (
    <div className="grid gap-3 sm:grid-cols-3">
      <Choice
        label="Microphone"
        icon={<Mic aria-hidden="true" size={18} />}
        devices={of("audioinput")}
        value={microphone.track?.getSettings().deviceId ?? microphone.deviceId}
        onChoose={(id) => local.choose("microphone", id)}
      >
        <LevelBar meter={meter} />
      </Choice>
      <Choice
        label="Camera"
        icon={<Camera aria-hidden="true" size={18} />}
        devices={of("videoinput")}
        value={camera.track?.getSettings().deviceId ?? camera.deviceId}
        empty={unnamed ? "Start video to choose" : "None found"}
        onChoose={(id) => local.choose("camera", id)}
      />
      {canChooseSpeaker && (
        <Choice
          label="Loudspeaker"
          icon={<Volume2 aria-hidden="true" size={18} />}
          devices={of("audiooutput")}
          value={speakerId}
          onChoose={(id) => local.chooseSpeaker(id)}
        />
      )}
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly icon: ReactNode;
  readonly devices: readonly MediaDeviceInfo[];
  readonly value: string;
  /** What stands there when there is nothing to choose. */
  readonly empty?: string;
  readonly onChoose: (deviceId: string) => void;
  readonly children?: ReactNode;
}

function Choice({ label, icon, devices, value, empty = "None found", onChoose, children }: ChoiceProps) {
  const id = useId();
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <label htmlFor={id} className="flex items-center gap-1.5 text-sm text-quiet">
        {icon}
        {label}
      </label>
      <select
        id={id}
        value={value}
        disabled={devices.length === 0}
        onChange={(event) => onChoose(event.target.value)}
        className="min-h-11 w-full min-w-0 truncate rounded-control border border-line bg-surface px-3 text-text disabled:text-quiet"
      >
        {devices.length === 0 && <option value="">{empty}</option>}
        {devices.map((device, index) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || `${label} ${index + 1}`}
          </option>
        ))}
      </select>
      {children}
    </div>
  );
}

/** The microphone's level, drawn without a re-render. */
function LevelBar({ meter }: { meter: Meter }) {
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const timer = setInterval(() => {
      // Speech has a root mean square of about 0.02 to 0.2: a square root makes the quiet end visible.
      const width = Math.min(1, Math.sqrt(meter.level()) * 2);
      if (bar.current) {
        bar.current.style.transform = `scaleX(${width.toFixed(3)})`;
      }
    }, 60);
    return () => clearInterval(timer);
  }, [meter]);
  return (
    <div aria-hidden="true" data-testid="microphone-level" className="h-1.5 overflow-hidden rounded-full bg-raised">
      <div ref={bar} className="h-full origin-left rounded-full bg-accent-text" style={{ transform: "scaleX(0)" }} />
    </div>
  );
}
