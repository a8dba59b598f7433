/** What keeps a device from working, and what to do about it. */

import type { Complaint } from "./local_media";

export const DEVICE_WORDS: Readonly<Record<Complaint["problem"], { title: (what: string) => string; advice: string }>> =
  {
    denied: {
      title: (what) => `This page may not use your ${what}`,
      advice:
        "Click the camera or lock symbol beside the address, choose “Allow”, then try again. On a phone, allow it in the settings of the browser. You can also come in without it.",
    },
    missing: {
      title: (what) => `No ${what} found`,
      advice: "Plug one in and try again. You can go on without it; the others just won’t see or hear you.",
    },
    busy: {
      title: (what) => `Another program is using your ${what}`,
      advice: "Close the other program or call, then try again.",
    },
    failed: {
      title: (what) => `Your ${what} doesn't start`,
      advice: "Unplug it and plug it in again, or choose another one, then try again.",
    },
    lost: {
      title: (what) => `Your ${what} was disconnected`,
      advice: "No other one was found. Plug it in again and it comes back by itself.",
    },
    replaced: {
      title: (what) => `Your ${what} was disconnected`,
      advice: "We switched to another one.",
    },
  };
