import { Button } from "@/design/button";
import { DEVICE_WORDS } from "@/media/device_words";
import type { LocalMedia } from "@/media/local_media";
import { useStore } from "@/session/store";

/** What is wrong with camera or microphone and what to do about it. */
export function PermissionHelp({ local }: { local: LocalMedia }) {
  const { camera, microphone } = useStore(local.state);
  const problem = camera.problem ?? microphone.problem;
  if (!problem || camera.opening || microphone.opening) {
    return null;
  }
  const both = camera.problem === microphone.problem;
  const what = both ? "camera and microphone" : camera.problem ? "camera" : "microphone";
  const { title, advice } = DEVICE_WORDS[problem];
  return (
    <div role="alert" className="flex flex-col items-start gap-2 rounded-panel border border-line bg-surface p-4">
      <p className="font-medium">{title(what)}</p>
      <p className="text-sm text-quiet">{advice}</p>
      <Button onClick={() => local.start()}>Try again</Button>
    </div>
  );
}
