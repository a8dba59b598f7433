/** What the start page does; loaded after it is shown. */

import { meetingPath } from "@/router";
import { createMeeting, newRequestId } from "@/rpc/api";
import { account, hostToken, rememberHosted, signOut } from "@/rpc/credentials";
import { toCallError } from "@/rpc/errors";
import { ACTION, retrying } from "@/rpc/retry";
import { describe } from "@/rpc/words";

/** Makes a meeting; gives the address of its pre-join page, or what is in the way. */
export async function startMeeting(): Promise<{ path: string } | { problem: string }> {
  try {
    const { token, guest } = await hostToken();
    const requestId = newRequestId();
    const meeting = await retrying(() => createMeeting(token, requestId), { policy: ACTION });
    if (guest) {
      rememberHosted(meeting.id);
    }
    return { path: meetingPath(meeting.id, meeting.passcode) };
  } catch (thrown) {
    const { title, advice } = describe(toCallError(thrown));
    return { problem: `${title}. ${advice}` };
  }
}

/** Name of the account that is signed in. */
export function signedInAs(): string | undefined {
  const known = account.account;
  return known && (known.displayName || known.email);
}

export async function endAccount(): Promise<void> {
  // Signed out here in any case; a session that the service could not be told of expires by itself.
  await signOut().catch(() => undefined);
}
