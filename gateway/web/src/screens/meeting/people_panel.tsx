import { Copy, KeyRound, Mic, MicOff, Pin, PinOff, Video, VideoOff, X } from "lucide-react";
import { useMemo, useState } from "react";
import { Avatar } from "@/design/avatar";
import { Button } from "@/design/button";
import type { LocalMedia } from "@/media/local_media";
import { allowed } from "@/rpc/access";
import { type Participant, type Resemblance, type Role, resemblances, sends } from "@/session/model";
import type { SessionState } from "@/session/state";
import { useStore } from "@/session/store";
import { useCopied } from "./use_copied";

const ROLES: Readonly<Partial<Record<Role, string>>> = { host: "Host", "co-host": "Co-host", panelist: "Panelist" };

export interface PeoplePanelProps {
  readonly state: SessionState;
  readonly link: string;
  readonly local: LocalMedia;
  readonly pinned: string;
  readonly onPin: (id: string) => void;
  readonly onNewPasscode: () => Promise<void>;
  readonly onClose: () => void;
}

/** Everybody who is in, and the link for more. */
export function PeoplePanel({ state, link, local, pinned, onPin, onNewPasscode, onClose }: PeoplePanelProps) {
  const { copied, copy } = useCopied();
  const marks = useMemo(() => resemblances(state.participants), [state.participants]);
  const self = state.participants.find(({ id }) => id === state.selfId);
  return (
    <aside
      aria-label="Participants"
      className="absolute inset-0 z-10 flex flex-col bg-surface sm:static sm:m-2 sm:ml-0 sm:w-80 sm:rounded-panel"
    >
      <div className="flex items-center justify-between py-2 pr-2 pl-4">
        <h2 className="font-semibold">In the meeting ({state.participants.length})</h2>
        <button
          type="button"
          aria-label="Close the list"
          className="inline-flex size-11 items-center justify-center rounded-control hover:bg-raised"
          onClick={onClose}
        >
          <X aria-hidden="true" size={20} />
        </button>
      </div>
      <div className="px-4 pb-2">
        <Button className="w-full" onClick={() => copy(link)}>
          <Copy aria-hidden="true" size={18} />
          {copied ? "Link copied" : "Copy invite link"}
        </Button>
        {allowed("regeneratePasscode", self?.role) && <NewPasscode onNewPasscode={onNewPasscode} />}
      </div>
      <ul className="min-h-0 flex-1 overflow-y-auto px-2 pb-3">
        {state.participants.map((person) => (
          <Row
            key={person.id}
            person={person}
            self={person.id === state.selfId}
            mark={marks.get(person.id)}
            local={local}
            pinned={pinned === person.id}
            onPin={() => onPin(pinned === person.id ? "" : person.id)}
          />
        ))}
      </ul>
    </aside>
  );
}

/** A new passcode with one click: for a host who was told of guesses, or whose link went astray. */
function NewPasscode({ onNewPasscode }: { onNewPasscode: () => Promise<void> }) {
  const [said, setSaid] = useState("");
  const give = async () => {
    try {
      await onNewPasscode();
      setSaid("The passcode is new. Links from before don't work any more.");
    } catch {
      setSaid("That didn't work. Try again.");
    }
  };
  return (
    <>
      <Button look="ghost" className="w-full" onClick={() => void give()}>
        <KeyRound aria-hidden="true" size={18} />
        {"New passcode"}
      </Button>
      <p role="status" className="text-[13px] text-quiet empty:hidden">
        {said}
      </p>
    </>
  );
}

const MARKS: Readonly<Record<Resemblance, string>> = {
  "other-device": "Another device of the same person",
  "similar-name": "Not the first with a name like this",
};

interface RowProps {
  readonly person: Participant;
  readonly self: boolean;
  readonly mark: Resemblance | undefined;
  readonly local: LocalMedia;
  readonly pinned: boolean;
  readonly onPin: () => void;
}

function Row({ person, self, mark, local, pinned, onPin }: RowProps) {
  const own = useStore(local.state);
  const heard = self ? own.microphone.on && !!own.microphone.track : sends(person, "microphone");
  const seen = self ? !!own.camera.track : sends(person, "camera");
  const Sound = heard ? Mic : MicOff;
  const Sight = seen ? Video : VideoOff;
  return (
    <li className="flex min-h-13 items-center gap-3 rounded-control px-2 hover:bg-raised">
      <Avatar id={person.id} name={person.displayName} size={34} />
      <span className="min-w-0 flex-1">
        <span className="block truncate">{self ? `${person.displayName} (you)` : person.displayName}</span>
        {ROLES[person.role] && <span className="block text-[13px] text-quiet">{ROLES[person.role]}</span>}
        {mark && <span className="block text-[13px] text-warn">{MARKS[mark]}</span>}
      </span>
      <Sound size={18} role="img" aria-label={heard ? "Microphone on" : "Microphone off"} className="text-quiet" />
      <Sight size={18} role="img" aria-label={seen ? "Video on" : "Video off"} className="text-quiet" />
      {!self && (
        <button
          type="button"
          aria-label={pinned ? `Unpin ${person.displayName}` : `Pin ${person.displayName}`}
          aria-pressed={pinned}
          className="inline-flex size-11 items-center justify-center rounded-control hover:bg-hover"
          onClick={onPin}
        >
          {pinned ? <PinOff aria-hidden="true" size={18} /> : <Pin aria-hidden="true" size={18} />}
        </button>
      )}
    </li>
  );
}
