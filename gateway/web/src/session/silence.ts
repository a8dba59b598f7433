/** Notices that a connection has fallen silent, seconds before a browser does. */

/** How often one looks, by the bytes received so far. */
export const LOOK_MS = 500;
/** So many looks in a row must have found something: a call in which little is sent is often silent. */
const BUSY_LOOKS = 4;
/** So many must find nothing then. Media and its reports come several times within each. */
const SILENT_LOOKS = 3;

export class Silence {
  private received = 0;
  private busy = 0;
  private silent = 0;
  /** Whether a busy connection has fallen silent and nothing has come since. */
  lasts = false;

  /** Takes the bytes received so far; true at the look by which a busy connection has fallen silent. */
  fell(received: number): boolean {
    const quiet = received === this.received;
    this.received = received;
    if (!quiet) {
      this.busy = this.silent > 0 ? 1 : this.busy + 1;
      this.silent = 0;
      this.lasts = false;
      return false;
    }
    this.silent += 1;
    const fell = this.silent === SILENT_LOOKS && this.busy >= BUSY_LOOKS;
    this.lasts ||= fell;
    return fell;
  }
}
