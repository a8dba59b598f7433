/** Runs an action again and again for the newest state, never twice at a time. */

/** A trigger: many triggers while the action runs cause one more run. */
export function coalesced(action: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  const run = async () => {
    running = true;
    do {
      again = false;
      await action();
    } while (again);
    running = false;
  };
  return () => {
    if (running) {
      again = true;
    } else {
      void run();
    }
  };
}
