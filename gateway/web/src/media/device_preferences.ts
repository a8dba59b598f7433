/** What a person chose for microphone, camera and loudspeaker, kept for the next meeting. */

export interface DevicePreferences {
  /** `deviceId`s; empty: the system's choice. */
  readonly microphone: string;
  readonly camera: string;
  readonly speaker: string;
  readonly microphoneOn: boolean;
  readonly cameraOn: boolean;
}

const KEY = "parley.devices";
const DEFAULTS: DevicePreferences = { microphone: "", camera: "", speaker: "", microphoneOn: true, cameraOn: true };

export function readPreferences(): DevicePreferences {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return DEFAULTS;
  }
}

export function savePreferences(preferences: DevicePreferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Storage is full or blocked: the next meeting begins with the defaults.
  }
}
