import { Button } from "@/design/button";
import type { DeviceProblem, LocalMedia } from "@/media/local_media";
import { useStore } from "@/session/store";

const WORDS: Readonly<Record<DeviceProblem, { title: (what: string) => string; advice: string }>> = {
  denied: {
    title: (what) => `This page may not use your ${what}`,
    advice:
      "Click the camera or lock symbol beside the address, choose “Allow”, then press “Try again”. On a phone, allow it in the settings of the browser. You can also come in without it.",
  },
  missing: {
    title: (what) => `No ${what} found`,
    advice: "Plug one in and press “Try again”, or come in without it: others won't see or hear what is missing.",
  },
  busy: {
    title: (what) => `Another program is using your ${what}`,
    advice: "Close the other program or call, then press “Try again”.",
  },
  failed: {
    title: (what) => `Your ${what} doesn't start`,
    advice: "Unplug it and plug it in again, or choose another one, then press “Try again”.",
  },
};

/** What is wrong with camera or microphone and what to do about it. */
export function PermissionHelp({ local }: { local: LocalMedia }) {
  const { camera, microphone, asking } = useStore(local.state);
  const problem = camera.problem ?? microphone.problem;
  if (!problem || asking) {
    return null;
  }
  const both = camera.problem === microphone.problem;
  const what = both ? "camera and microphone" : camera.problem ? "camera" : "microphone";
  const { title, advice } = WORDS[problem];
  return (
    <div role="alert" className="flex flex-col items-start gap-2 rounded-panel border border-line bg-surface p-4">
      <p className="font-medium">{title(what)}</p>
      <p className="text-sm text-quiet">{advice}</p>
      <Button onClick={() => void local.retry()}>Try again</Button>
    </div>
  );
}
