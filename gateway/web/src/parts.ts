/** Everything that is not loaded with the first page. */

import { Part } from "@/design/part";
import { fetchFiles } from "@/design/part_files";

export const sign = part("screens/sign", () => import("@/screens/sign"));
export const meetingRoute = part("screens/meeting_route", () => import("@/screens/meeting_route"));
/** Loaded while the person is in the lobby, so that the click on "Join now" finds it there. */
export const room = part("screens/meeting/room", () => import("@/screens/meeting/room"));
export const connectionPanel = part(
  "screens/meeting/connection_panel",
  () => import("@/screens/meeting/connection_panel"),
);
export const homeActions = part("screens/home_actions", () => import("@/screens/home_actions"));

function part<T>(name: string, load: () => Promise<T>): Part<T> {
  return new Part(async () => {
    await fetchFiles(name);
    return load();
  });
}
