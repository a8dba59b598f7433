import {
  Activity,
  Check,
  Copy,
  EllipsisVertical,
  LayoutGrid,
  OctagonX,
  PanelRight,
  SunMoon,
  Users,
} from "lucide-react";
import { AlertDialog, DropdownMenu } from "radix-ui";
import { type ReactNode, useState } from "react";
import { Button } from "@/design/button";
import { Control } from "@/design/control";
import { currentTheme, setTheme } from "@/design/theme";
import { allowed } from "@/rpc/access";
import { endMeeting } from "@/rpc/api";
import { ACTION, retrying } from "@/rpc/retry";
import type { Call } from "@/session/call";
import { participantById, type SessionState } from "@/session/state";
import { useStore } from "@/session/store";
import type { RoomActions, View } from "./room";
import { useCopied } from "./use_copied";

const ITEM =
  "flex min-h-11 cursor-pointer items-center gap-3 rounded-control px-3 outline-none select-none data-[highlighted]:bg-hover";

export interface MoreMenuProps {
  readonly call: Call;
  readonly state: SessionState;
  readonly view: View;
  readonly link: string;
  readonly actions: RoomActions;
}

/** What is needed less often, and on phones what has no room in the bar. */
export function MoreMenu({ call, state, view, link, actions }: MoreMenuProps) {
  const { copied, copy } = useCopied();
  const [ending, setEnding] = useState(false);
  const mayEnd = allowed("endMeeting", participantById(state, state.selfId)?.role);
  return (
    <>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger asChild>
          <Control label="More" tone={copied ? "active" : "plain"}>
            <EllipsisVertical aria-hidden="true" size={22} />
          </Control>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content
            side="top"
            sideOffset={10}
            collisionPadding={8}
            className="z-30 max-h-[70dvh] w-72 overflow-y-auto rounded-panel bg-raised p-1.5 shadow-lg"
          >
            <Item icon={<Copy aria-hidden="true" size={18} />} onSelect={() => copy(link)}>
              Copy invite link
            </Item>
            <PhoneItems view={view} actions={actions} />
            <Item icon={<Activity aria-hidden="true" size={18} />} onSelect={actions.toggleConnection}>
              {view.panel === "connection" ? "Hide connection details" : "Connection details"}
            </Item>
            <Item
              icon={<SunMoon aria-hidden="true" size={18} />}
              onSelect={() => setTheme(currentTheme() === "dark" ? "light" : "dark")}
            >
              Light or dark
            </Item>
            <DeviceItems call={call} />
            {mayEnd && (
              <>
                <DropdownMenu.Separator className="my-1 h-px bg-line" />
                <Item icon={<OctagonX aria-hidden="true" size={18} />} onSelect={() => setEnding(true)} danger>
                  End for everyone
                </Item>
              </>
            )}
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
      <EndDialog open={ending} onClose={() => setEnding(false)} call={call} />
    </>
  );
}

interface ItemProps {
  readonly icon: ReactNode;
  readonly onSelect: () => void;
  readonly danger?: boolean;
  readonly children: ReactNode;
}

function Item({ icon, onSelect, danger = false, children }: ItemProps) {
  return (
    <DropdownMenu.Item className={`${ITEM} ${danger ? "text-danger-text" : ""}`} onSelect={onSelect}>
      {icon}
      {children}
    </DropdownMenu.Item>
  );
}

function PhoneItems({ view, actions }: Pick<MoreMenuProps, "view" | "actions">) {
  const gallery = view.mode === "gallery";
  return (
    <div className="sm:hidden">
      <Item icon={<Users aria-hidden="true" size={18} />} onSelect={actions.togglePeople}>
        Participants
      </Item>
      <Item
        icon={gallery ? <PanelRight aria-hidden="true" size={18} /> : <LayoutGrid aria-hidden="true" size={18} />}
        onSelect={actions.toggleMode}
      >
        {gallery ? "Speaker layout" : "Gallery layout"}
      </Item>
    </div>
  );
}

const KINDS = [
  { kind: "audioinput", label: "Microphone" },
  { kind: "videoinput", label: "Camera" },
  { kind: "audiooutput", label: "Loudspeaker" },
] as const;

/** Another microphone, camera or loudspeaker, where there is a choice. */
function DeviceItems({ call }: { call: Call }) {
  const { local } = call;
  const { devices, microphone, camera, speakerId } = useStore(local.state);
  const chosen: Readonly<Record<string, string>> = {
    audioinput: microphone.track?.getSettings().deviceId ?? microphone.deviceId,
    videoinput: camera.track?.getSettings().deviceId ?? camera.deviceId,
    audiooutput: speakerId,
  };
  const choose = (kind: string, id: string) => {
    if (kind === "audiooutput") {
      local.chooseSpeaker(id);
    } else {
      local.choose(kind === "audioinput" ? "microphone" : "camera", id);
    }
  };
  return KINDS.map(({ kind, label }) => {
    const choices = devices.filter((device) => device.kind === kind && device.deviceId);
    if (choices.length < 2) {
      return null;
    }
    return (
      <DropdownMenu.RadioGroup key={kind} value={chosen[kind] ?? ""} onValueChange={(id) => choose(kind, id)}>
        <DropdownMenu.Label className="px-3 pt-2 text-[13px] text-quiet">{label}</DropdownMenu.Label>
        {choices.map((device) => (
          <DropdownMenu.RadioItem key={device.deviceId} value={device.deviceId} className={`${ITEM} pl-9`}>
            <DropdownMenu.ItemIndicator className="-ml-6">
              <Check aria-hidden="true" size={16} />
            </DropdownMenu.ItemIndicator>
            <span className="truncate">{device.label || label}</span>
          </DropdownMenu.RadioItem>
        ))}
      </DropdownMenu.RadioGroup>
    );
  });
}

function EndDialog({ open, onClose, call }: { open: boolean; onClose: () => void; call: Call }) {
  const [problem, setProblem] = useState("");
  const end = async () => {
    const { token, meeting } = call.session.identity;
    try {
      await retrying(() => endMeeting(token, meeting), { policy: ACTION });
      onClose();
    } catch {
      setProblem("That didn't work. Try again, or just leave.");
    }
  };
  return (
    <AlertDialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="fixed inset-0 z-40 bg-scrim" />
        <AlertDialog.Content className="fixed top-1/2 left-1/2 z-50 flex w-[min(92vw,420px)] -translate-x-1/2 -translate-y-1/2 flex-col gap-3 rounded-panel bg-surface p-6 shadow-lg">
          <AlertDialog.Title className="text-xl font-semibold">End the meeting for everyone?</AlertDialog.Title>
          <AlertDialog.Description className="text-quiet">
            All people are taken out and the link stops working. If others shall go on, leave instead.
          </AlertDialog.Description>
          <p role="alert" className="text-sm text-danger-text empty:hidden">
            {problem}
          </p>
          <div className="mt-2 flex flex-wrap justify-end gap-3">
            <AlertDialog.Cancel asChild>
              <Button>Go back</Button>
            </AlertDialog.Cancel>
            <Button look="danger" onClick={end}>
              End it
            </Button>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
