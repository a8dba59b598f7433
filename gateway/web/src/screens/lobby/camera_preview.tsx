import { Mic, MicOff, Video, VideoOff } from "lucide-react";
import type { ReactNode } from "react";
import { LiveVideo } from "@/design/live_video";
import { isOn, type LocalMedia } from "@/media/local_media";
import { ownVideo } from "@/media/own_video";
import { useStore } from "@/session/store";

/** Oneself as the others will see it, with the two switches. */
export function CameraPreview({ local }: { local: LocalMedia }) {
  const { camera, microphone } = useStore(local.state);
  const [heard, seen] = [isOn(microphone), isOn(camera)];
  const text = camera.opening
    ? "Allow camera and microphone in the question your browser asks"
    : camera.problem
      ? "No picture"
      : "Your video is off";
  return (
    <div className="relative aspect-video overflow-hidden rounded-panel bg-tile">
      {camera.track ? (
        <LiveVideo element={ownVideo(camera.track)} mirrored />
      ) : (
        <p className="absolute inset-0 flex items-center justify-center px-8 pb-12 text-center text-quiet">{text}</p>
      )}
      <div className="absolute inset-x-0 bottom-3 flex justify-center gap-3">
        <Switch
          on={heard}
          label={heard ? "Mute" : "Unmute"}
          icon={heard ? <Mic aria-hidden="true" size={22} /> : <MicOff aria-hidden="true" size={22} />}
          onClick={() => local.setMicrophone(!heard)}
        />
        <Switch
          on={seen}
          label={seen ? "Stop video" : "Start video"}
          icon={seen ? <Video aria-hidden="true" size={22} /> : <VideoOff aria-hidden="true" size={22} />}
          onClick={() => local.setCamera(!seen)}
        />
      </div>
    </div>
  );
}

function Switch({ on, label, icon, onClick }: { on: boolean; label: string; icon: ReactNode; onClick: () => void }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      onClick={onClick}
      className={`inline-flex size-12 items-center justify-center rounded-full transition-colors ${on ? "bg-raised text-text hover:bg-hover" : "bg-danger text-on-accent hover:bg-danger-hover"}`}
    >
      {icon}
    </button>
  );
}
