/** Everything that is not loaded with the first page. */

import { Part } from "@/design/part";

export const sign = new Part(() => import("@/screens/sign"));
export const meetingRoute = new Part(() => import("@/screens/meeting_route"));
/** Loaded while the person is in the lobby, so that the click on "Join now" finds it there. */
export const room = new Part(() => import("@/screens/meeting/room"));
export const connectionPanel = new Part(() => import("@/screens/meeting/connection_panel"));
export const homeActions = new Part(() => import("@/screens/home_actions"));
