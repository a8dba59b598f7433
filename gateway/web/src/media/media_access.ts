/** What the browser offers of devices, as a port: tests put devices of their own in its place. */

export type DeviceKind = "microphone" | "camera";

export interface MediaAccess {
  getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream>;
  /** Whether the page may use a device without a question; undefined: the browser doesn't tell. */
  permission(kind: DeviceKind): Promise<PermissionState | undefined>;
  /** Lets the person pick a screen, window or tab. */
  getDisplayMedia(): Promise<MediaStream>;
  devices(): Promise<readonly MediaDeviceInfo[]>;
  /** Calls back when something is plugged in or out; returns how to stop that. */
  onDeviceChange(listener: () => void): () => void;
}

const SCREEN: DisplayMediaStreamOptions = {
  video: { width: { max: 1920 }, height: { max: 1080 }, frameRate: { ideal: 15, max: 30 } },
  audio: true,
};

export const browserAccess: MediaAccess = {
  getUserMedia: (constraints) => navigator.mediaDevices.getUserMedia(constraints),
  permission: async (kind) => {
    try {
      return (await navigator.permissions.query({ name: kind })).state;
    } catch {
      // Browsers that don't know the name throw.
      return undefined;
    }
  },
  getDisplayMedia: () => navigator.mediaDevices.getDisplayMedia(SCREEN),
  devices: () => navigator.mediaDevices.enumerateDevices(),
  onDeviceChange: (listener) => {
    navigator.mediaDevices.addEventListener("devicechange", listener);
    return () => navigator.mediaDevices.removeEventListener("devicechange", listener);
  },
};
