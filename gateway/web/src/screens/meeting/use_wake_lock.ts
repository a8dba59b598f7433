import { useEffect } from "react";

/** Keeps the screen of a phone or laptop on during the call. Browsers drop the lock with the tab's visibility. */
export function useWakeLock(): void {
  useEffect(() => {
    if (!("wakeLock" in navigator)) {
      return;
    }
    let lock: WakeLockSentinel | undefined;
    let over = false;
    const hold = async () => {
      if (document.visibilityState !== "visible") {
        return;
      }
      // Refused on low battery: the call goes on all the same.
      lock = await navigator.wakeLock.request("screen").catch(() => undefined);
      if (over) {
        await lock?.release();
      }
    };
    void hold();
    document.addEventListener("visibilitychange", hold);
    return () => {
      over = true;
      document.removeEventListener("visibilitychange", hold);
      void lock?.release();
    };
  }, []);
}
