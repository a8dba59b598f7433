import { MonitorX } from "lucide-react";
import { MessagePage } from "@/design/page";

export type Missing = "secure-context" | "webrtc";

/** What this browser lacks for a call. */
export function missingFeature(): Missing | undefined {
  if (!window.isSecureContext) {
    return "secure-context";
  }
  const able = "RTCPeerConnection" in window && navigator.mediaDevices && "getUserMedia" in navigator.mediaDevices;
  return able ? undefined : "webrtc";
}

export function Unsupported({ missing }: { missing: Missing }) {
  const icon = <MonitorX aria-hidden="true" size={40} className="text-quiet" />;
  if (missing === "secure-context") {
    return (
      <MessagePage title="This page needs a secure connection" icon={icon}>
        Browsers give camera and microphone only to pages opened with https. Open the link with https:// in front, or
        ask whoever runs this Parley to turn it on.
      </MessagePage>
    );
  }
  return (
    <MessagePage title="This browser can't make video calls" icon={icon}>
      Open the link in a current Chrome, Edge, Firefox or Safari. On a phone, open it in the phone's own browser and not
      inside another app.
    </MessagePage>
  );
}
