/** Who may call what, as the contracts say it: the service decides by the same option. */

import { getOption } from "@bufbuild/protobuf";
import { MeetingService } from "@gen/meeting/v1/meeting_service_pb";
import { access, MeetingRole, TokenKind } from "@gen/options/v1/access_pb";
import type { Role } from "@/session/model";

const ROLES: Readonly<Record<Role, MeetingRole>> = {
  host: MeetingRole.HOST,
  "co-host": MeetingRole.CO_HOST,
  panelist: MeetingRole.PANELIST,
  participant: MeetingRole.PARTICIPANT,
  attendee: MeetingRole.ATTENDEE,
};

/** Whether a participant of a role may call a method: buttons are shown to those who may. */
export function allowed(method: keyof typeof MeetingService.method, role: Role | undefined): boolean {
  const { kinds, roles } = getOption(MeetingService.method[method], access);
  return (
    role !== undefined && kinds.includes(TokenKind.PARTICIPANT) && (roles.length === 0 || roles.includes(ROLES[role]))
  );
}
